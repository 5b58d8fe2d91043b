//! Why a user reaches a host, or does not: the tree of decisions, for operators.
