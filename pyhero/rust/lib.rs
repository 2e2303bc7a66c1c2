//! The native half of the pyhero package.
