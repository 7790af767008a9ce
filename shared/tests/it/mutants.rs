//! (mutants)
