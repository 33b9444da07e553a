//! The budget.
