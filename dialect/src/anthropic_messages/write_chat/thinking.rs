//! How much the model thinks, in this dialect's words. How hard it tries is elsewhere: `output_config.effort`.

use serde::Serialize;

use crate::canon::{Chat, Effort, ToolChoice};

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
    /// to be shown. And where the API refuses a budget: beside a choice that forces a call, with no room for the smallest
    /// one, and after `has_unthought_calls`.
    pub(super) fn of(chat: &Chat, has_unthought_calls: bool) -> Option<Self> {
        let reasoning = chat.reasoning.as_ref()?;
        if reasoning.effort == Some(Effort::None) || reasoning.budget == Some(0) {
            return Some(Self::Disabled);
        }
        let Some(budget) = reasoning.budget else {
            let is_shown = reasoning.is_shown == Some(true);
            return is_shown.then_some(Self::Adaptive {
                display: Display::Summarized,
            });
        };
        // Thoughts are within the limit of the answer, here as everywhere.
        let room = chat
            .max_tokens
            .map_or(u32::MAX, |max| max.saturating_sub(1));
        let is_forced = chat.tool_choice.as_ref().is_some_and(ToolChoice::is_forced);
        if is_forced || room < BUDGET_MIN || has_unthought_calls {
            return None;
        }
        Some(Self::Enabled {
            budget_tokens: budget.clamp(BUDGET_MIN, room),
            // Shown is the default.
            display: (reasoning.is_shown == Some(false)).then_some(Display::Omitted),
        })
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
