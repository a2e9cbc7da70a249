//! Values of which equal ones come one after the other, as those do that one owner makes.

use parking_lot::Mutex;

/// Remembers the value before, so that a run of equal ones is kept once.
#[derive(Debug, Default)]
pub struct Last<T>(Mutex<T>);

impl<T: Clone + PartialEq> Last<T> {
    /// The value, or the one before if that is equal. Cloning a `T` is to share it.
    pub fn share(&self, value: T) -> T {
        let mut last = self.0.lock();
        if *last != value {
            *last = value;
        }
        last.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_run_of_equal_values_is_one() {
        let last = Last::default();
        let one = || Arc::new("one");
        let first = last.share(one());
        assert!(Arc::ptr_eq(&first, &last.share(one())));
        assert_eq!(*last.share(Arc::new("two")), "two");
        assert!(!Arc::ptr_eq(&first, &last.share(one())));
    }
}
