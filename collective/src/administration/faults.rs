//! What is wrong with a request, field by field, and of which kind it is.
//!
//! A request that breaks its published schema is *invalid* (422). One that the schema permits and that contradicts itself,
//! or what the Collective holds, is a *contradiction* (409): whoever sends what the description says never gets 422.

use ringwall_protocol::form::Form;
use ringwall_protocol::wire::admin::FieldError;

use super::denial::Denial;

/// Most errors that one answer names.
const MAX_ERRORS: usize = 64;

/// Rules that a request breaks, in the order in which they were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    errors: Vec<FieldError>,
    /// At least one of them is against the published schema.
    invalid: bool,
}

impl Faults {
    /// A field is not as the schema says.
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.invalid = true;
        self.note(field, message);
    }

    /// A field is not as the schema says unless `holds`.
    pub(crate) fn unless(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.add(field, message);
        }
    }

    /// A text has not the form that the schema says.
    pub(crate) fn unless_fits(&mut self, text: &str, form: Form, field: &str) {
        self.unless(form.fits(text), field, form.rule);
    }

    /// A field contradicts another one, or what the Collective holds.
    pub(crate) fn contradict(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.note(field, message);
    }

    /// The same unless `holds`.
    pub(crate) fn contradict_unless(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.contradict(field, message);
        }
    }

    /// Errors that contradict what the Collective holds.
    pub(crate) fn contradictions(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        errors.into_iter().for_each(|error| self.contradict(error.field, error.message));
    }

    /// The errors, whatever their kind.
    #[must_use]
    #[cfg(any(test, fuzzing))]
    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// Nothing is wrong, or the denial that says what.
    ///
    /// # Errors
    /// [`Denial::Invalid`] if the schema is broken, otherwise [`Denial::Contradiction`].
    pub(crate) fn judge(self) -> Result<(), Denial> {
        match (self.errors.is_empty(), self.invalid) {
            (true, _) => Ok(()),
            (false, true) => Err(Denial::Invalid(self.errors)),
            (false, false) => Err(Denial::Contradiction(self.errors)),
        }
    }

    fn note(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(FieldError { field: field.into(), message: message.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_bound_makes_a_request_invalid_and_contradictions_alone_a_conflict() {
        assert_eq!(Faults::default().judge(), Ok(()));
        let mut faults = Faults::default();
        faults.contradict("site", "there is no Site");
        assert!(matches!(faults.clone().judge(), Err(Denial::Contradiction(errors)) if errors.len() == 1));
        faults.add("name", "is missing");
        assert!(matches!(faults.judge(), Err(Denial::Invalid(errors)) if errors.len() == 2));
    }
}
