//! Collections as data: the lists as sequences, the dictionary as a map.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bag, Dictionary, Queue, Stack};

/// As a sequence of `$values`, read back by collecting it.
macro_rules! sequence {
    ($name:ident, |$collection:ident| $values:expr) => {
        impl<T: Clone + Serialize> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $collection = self;
                serializer.collect_seq($values)
            }
        }

        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let values = Vec::deserialize(deserializer)?;
                Ok(values.into_iter().collect())
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

impl<'de, K, V> Deserialize<'de> for Dictionary<K, V>
where
    K: Deserialize<'de> + Eq + Hash,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Entries<K, V>
where
    K: Deserialize<'de> + Eq + Hash,
    V: Deserialize<'de>,
{
    type Value = Dictionary<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let dictionary = Dictionary::new();
        while let Some((key, value)) = entries.next_entry()? {
            dictionary.insert(key, value);
        }
        Ok(dictionary)
    }
}
