//! The result of a rule.

/// The result of checking the snapshot against one rule.
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) says: &'static str,
    pub(crate) checked: usize,
    pub(crate) violations: Vec<String>,
}

impl Finding {
    pub(crate) fn new(rule: &'static str, says: &'static str) -> Self {
        Self { rule, says, checked: 0, violations: Vec::new() }
    }

    pub(crate) fn violation(&mut self, violation: String) {
        self.violations.push(violation);
    }
}
