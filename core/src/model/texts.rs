//! Texts that many values say alike: names of machines, zones, accounts, identities.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// So few that looking for those nobody has is not worth it.
const FEW: usize = 256;

/// Keeps equal texts once, as long as anyone has them. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct Texts(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    texts: HashSet<Arc<str>, RandomState>,
    /// How many were in use when that was looked at last.
    used: usize,
}

impl Texts {
    /// The text, shared with all who asked for an equal one.
    pub fn share(&self, text: &str) -> Arc<str> {
        if text.is_empty() {
            return Arc::default();
        }
        let mut known = self.0.lock();
        if let Some(shared) = known.texts.get(text) {
            return Arc::clone(shared);
        }
        if known.texts.len() >= 2 * known.used.max(FEW) {
            known.texts.retain(|text| Arc::strong_count(text) > 1);
            known.used = known.texts.len();
        }
        let shared = Arc::<str>::from(text);
        known.texts.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_as_long_as_anyone_has_them() {
        let texts = Texts::default();
        let kept = texts.share("kept");
        for number in 0..10 * FEW {
            texts.share(&number.to_string());
        }
        assert!(Arc::ptr_eq(&kept, &texts.clone().share("kept")));
        assert!(texts.0.lock().texts.len() <= 2 * FEW);
    }
}
