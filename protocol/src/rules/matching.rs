//! What a rule set says about one flow, exactly as the kernel would.
