//! The jobs of `pilot-agent proxy`, bound and then run.
