//! The Hero Logic command line.
