//! How much the model thinks, in this dialect's words. How hard it tries is elsewhere: `output_config.effort`.

use serde::Serialize;

use crate::canon::{Chat, Effort, Field, Losses, Unsupported};

/// The API takes no smaller budget.
const BUDGET_MIN: u32 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
    Disabled,
    Enabled {
        budget_tokens: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<Display>,
    },
    /// The model decides.
    Adaptive {
        display: Display,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Display {
    Summarized,
    Omitted,
}

impl Thinking {
    /// `None` where the model's own way is as good: an effort without a budget says nothing of thoughts, unless they are
    /// to be shown.
    pub(super) fn of(chat: &Chat, losses: &Losses) -> Result<Option<Self>, Unsupported> {
        let Some(reasoning) = &chat.reasoning else {
            return Ok(None);
        };
        if reasoning.effort == Some(Effort::None) || reasoning.budget == Some(0) {
            return Ok(Some(Self::Disabled));
        }
        let Some(budget_tokens) = reasoning.budget else {
            let is_shown = reasoning.is_shown == Some(true);
            return Ok(is_shown.then_some(Self::Adaptive {
                display: Display::Summarized,
            }));
        };
        let has_room = chat.max_tokens.is_none_or(|max| budget_tokens < max);
        if budget_tokens < BUDGET_MIN || !has_room {
            losses.lose(Field::Reasoning)?;
            return Ok(None);
        }
        Ok(Some(Self::Enabled {
            budget_tokens,
            // Shown is the default.
            display: (reasoning.is_shown == Some(false)).then_some(Display::Omitted),
        }))
    }

    pub(super) fn is_on(self) -> bool {
        self != Self::Disabled
    }

    pub(super) fn budget(self) -> Option<u32> {
        match self {
            Self::Enabled { budget_tokens, .. } => Some(budget_tokens),
            Self::Disabled | Self::Adaptive { .. } => None,
        }
    }
}
