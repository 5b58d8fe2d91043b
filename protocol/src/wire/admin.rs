//! Bodies of the admin API that are not objects: lists, errors, sign-in, revocation orders.
