//! Equal values are kept once: for the parts of one object, which often say the same.

use std::collections::BTreeSet;

/// The different values seen so far, each cheap to clone.
#[derive(Debug)]
pub(crate) struct Once<T>(BTreeSet<T>);

impl<T: Ord + Clone> Once<T> {
    /// Makes `value` share its content with the first one that was equal.
    pub(crate) fn share(&mut self, value: &mut T) {
        match self.0.get(value) {
            Some(first) => value.clone_from(first),
            None => {
                self.0.insert(value.clone());
            }
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn equal_values_become_one_and_others_stay() {
        let mut all = ["a", "b", "a"].map(Arc::<str>::from);
        let mut once = Once::default();
        all.iter_mut().for_each(|text| once.share(text));
        assert_eq!(all.each_ref().map(|text| &**text), ["a", "b", "a"]);
        let [first, _, third] = &all;
        assert!(Arc::ptr_eq(first, third));
    }
}
