//! Zhipu's GLM is told whether to think, not how much.

use super::{Habits, OTHERS, switch};

pub(super) const HABITS: Habits = Habits {
    reasoning: |reasoning| Some(switch(reasoning)),
    ..OTHERS
};
