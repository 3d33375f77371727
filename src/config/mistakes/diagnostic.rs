//! A mistake in a configuration, as data; `render.rs` makes its text.

/// A mistake in a configuration, with the key that it belongs to. Later layers report mistakes as diagnostics too, so
/// that all are shown with their place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind of mistake, by which the reading of a configuration decides how to continue.
    pub kind: DiagnosticKind,
    /// The key's path, such as `train.lr`; empty for the file as a whole.
    pub key: String,
    /// The description of the mistake: a fragment in lower case.
    pub message: String,
    /// How to correct the mistake; `None` if there is no hint.
    pub hint: Option<String>,
    /// Whether the key itself is wrong, rather than its value.
    pub at_key: bool,
}

/// The kind of a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiagnosticKind {
    /// A required key is not given.
    MissingKey,
    /// A key has an unknown name.
    UnknownKey {
        /// The known name that is probably meant.
        suggestion: Option<String>,
    },
    /// A value is not among the names that are allowed for its key.
    UnknownValue,
    /// A value has another type than its key requires, or is outside the range of that type.
    WrongType,
    /// A table must have exactly one key, but has none.
    EmptyTable,
    /// A table must have exactly one key, but has several.
    SeveralKeys,
    /// A value has the right type, but breaks a rule of the experiment.
    Rule,
}

impl Diagnostic {
    /// Returns the mistake that the value at `key` breaks a rule.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        let kind = DiagnosticKind::Rule;
        Self { kind, key: key.into(), message: message.into(), hint: None, at_key: false }
    }

    /// Returns the mistake that the required `key` is not given.
    pub(in crate::config) fn missing_key(key: impl Into<String>) -> Self {
        let key = key.into();
        let message = format!("`{key}` is missing");
        Self::new(key, message).kind(DiagnosticKind::MissingKey).on_key()
    }

    /// Sets the kind.
    #[must_use]
    pub(in crate::config) fn kind(mut self, kind: DiagnosticKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the hint on how to correct the mistake.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks the key itself as wrong, rather than its value.
    #[must_use]
    pub fn on_key(mut self) -> Self {
        self.at_key = true;
        self
    }
}
