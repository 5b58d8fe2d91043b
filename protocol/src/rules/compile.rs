//! Actions to a rule set, with the precedence of S45.
