//! The targets of this package are the files of `ui/pass`; this library is empty.
