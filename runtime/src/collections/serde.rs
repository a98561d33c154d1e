//! Collections as data: the lists as sequences, the dictionary as a map.
//!
//! They are written and not read. Whatever can be read from bytes can be captured where a body runs in another process,
//! and a collection that is read there shares nothing with that which was captured: what the body adds to it would be
//! lost in silence. A list or map of the standard library's is read instead, and collected.

use std::hash::Hash;

use serde::{Serialize, Serializer};

use super::{Bag, Dictionary, Queue, Stack};

/// As a sequence of `$values`, from which it can be collected.
macro_rules! sequence {
    ($name:ident, |$collection:ident| $values:expr) => {
        impl<T: Clone + Serialize> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $collection = self;
                serializer.collect_seq($values)
            }
        }
    };
}

sequence!(Bag, |bag| bag.iter());
sequence!(Queue, |queue| queue.iter());
// From the bottom, as it was built and will be built again.
sequence!(Stack, |stack| stack.iter().rev());

impl<K, V> Serialize for Dictionary<K, V>
where
    K: Clone + Eq + Hash + Serialize,
    V: Clone + Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
