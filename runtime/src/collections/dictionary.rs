//! Values by key.

// The map is scc's, whose entries live in small buckets, each behind a lock of its own. Values are
// in `Arc`s, so that all that happens under such a lock is the counting of references: closures,
// clones, comparisons and destructors of values run without.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, RandomState};
use std::sync::Arc;

use scc::hash_map::Entry;

type Map<K, V> = scc::HashMap<K, Arc<V>, RandomState>;

/// Values by key: .NET's `ConcurrentDictionary`.
///
/// Closures that make values run without any lock, as in .NET: they may use the dictionary, take
/// their time and panic. In return what a closure has made is dropped if another thread was faster.
/// `Hash`, `Eq` and `Clone` of the *key* must not use the dictionary.
///
/// Clones are the same dictionary.
///
/// ```
/// use runspace::collections::Dictionary;
/// use runspace::foreach_parallel;
///
/// let counts = Dictionary::new();
/// let words = ["one", "two", "one", "three", "one"];
/// foreach_parallel!(words, using(counts.clone()), |word| {
///     counts.add_or_update(word, |_| 1, |_, count| count + 1);
/// });
/// assert_eq!(counts.try_get("one"), Some(3));
/// assert_eq!(counts.len(), 3);
/// ```
pub struct Dictionary<K, V> {
    map: Arc<Map<K, V>>,
}

impl<K: Eq + Hash, V> Dictionary<K, V> {
    /// An empty dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty dictionary with room for that many entries before it grows.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let map = Map::with_capacity_and_hasher(capacity, RandomState::new());
        Self { map: Arc::new(map) }
    }

    /// Adds a value if there is none for this key.
    ///
    /// # Errors
    /// There is one, which stays; key and value come back.
    pub fn try_add(&self, key: K, value: V) -> Result<(), (K, V)> {
        let added = self.map.insert_sync(key, Arc::new(value));
        added.map_err(|(key, value)| {
            let value = Arc::into_inner(value).expect("nobody has seen it");
            (key, value)
        })
    }

    /// Sets the value for this key. Answers whether there was one, which is dropped.
    pub fn insert(&self, key: K, value: V) -> bool {
        let before = self.map.upsert_sync(key, Arc::new(value));
        before.is_some()
    }

    /// A copy of the value for this key.
    ///
    /// # Panics
    /// `V::clone` panics.
    #[must_use]
    pub fn try_get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.read(key, V::clone)
    }

    /// What `look` answers for the value of this key. For values that are dear to clone.
    ///
    /// The value is as it was when `read` was called, even if another takes its place meanwhile.
    ///
    /// ```
    /// use runspace::collections::Dictionary;
    ///
    /// let texts = Dictionary::new();
    /// texts.insert(1, String::from("long"));
    /// assert_eq!(texts.read(&1, |text| text.len()), Some(4));
    /// assert_eq!(texts.read(&2, |text| text.len()), None);
    /// ```
    ///
    /// # Panics
    /// `look` panics.
    pub fn read<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.get(key).map(|value| look(&value))
    }

    fn get<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.read_sync(key, |_, value| Arc::clone(value))
    }

    /// A copy of the value for this key; if there is none, of what `make` makes, which is added.
    ///
    /// `make` runs once at most for each call. Calls that meet may run it each, and all but one of
    /// the values are dropped: all calls answer the one that was added.
    ///
    /// ```
    /// use runspace::collections::Dictionary;
    ///
    /// let squares = Dictionary::new();
    /// assert_eq!(squares.get_or_add(7, |n| n * n), 49);
    /// assert_eq!(squares.get_or_add(7, |_| unreachable!()), 49);
    /// ```
    ///
    /// # Panics
    /// `make` or `V::clone` panics; in the first case nothing is added.
    pub fn get_or_add(&self, key: K, make: impl FnOnce(&K) -> V) -> V
    where
        V: Clone,
    {
        if let Some(value) = self.try_get(&key) {
            return value;
        }
        let made = Arc::new(make(&key));
        let value = match self.map.entry_sync(key) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => Arc::clone(entry.insert_entry(made).get()),
        };
        V::clone(&value)
    }

    /// Adds what `add` makes if there is no value for this key, and else puts what `update` makes of
    /// it in its place. Answers a copy of the new value.
    ///
    /// Nothing is lost when calls meet: each works on the result of the other. For that, closures
    /// may run again with the value that the other has left.
    ///
    /// # Panics
    /// `add`, `update` or `V::clone` panics; in the first two cases nothing is changed.
    pub fn add_or_update(&self, key: K, add: impl Fn(&K) -> V, update: impl Fn(&K, &V) -> V) -> V
    where
        V: Clone,
    {
        let mut key = key;
        loop {
            let Some(before) = self.get(&key) else {
                let made = Arc::new(add(&key));
                match self.map.insert_sync(key, Arc::clone(&made)) {
                    Ok(()) => return own(made),
                    Err((back, _)) => key = back,
                }
                continue;
            };
            let made = Arc::new(update(&key, &before));
            if self.exchange(&key, &before, &made) {
                return own(made);
            }
        }
    }

    /// Puts `new` in the place of the value for this key if that is equal to `expected`. Answers
    /// whether it was.
    ///
    /// ```
    /// use runspace::collections::Dictionary;
    ///
    /// let states = Dictionary::new();
    /// states.insert("job", "new");
    /// assert!(states.try_update("job", "done", &"new"));
    /// assert!(!states.try_update("job", "lost", &"new"));
    /// assert_eq!(states.try_get("job"), Some("done"));
    /// ```
    ///
    /// # Panics
    /// The comparison panics. Nothing is changed.
    #[must_use]
    pub fn try_update<Q>(&self, key: &Q, new: V, expected: &V) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: PartialEq,
    {
        let new = Arc::new(new);
        loop {
            match self.get(key) {
                Some(before) if *before == *expected => {
                    if self.exchange(key, &before, &new) {
                        return true;
                    }
                }
                _ => return false,
            }
        }
    }

    /// Puts `new` in the place of `before` if that is there still. While it is held it cannot come
    /// back by chance under the same address.
    fn exchange<Q>(&self, key: &Q, before: &Arc<V>, new: &Arc<V>) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let changed = self.map.update_sync(key, |_, value| {
            let is_same = Arc::ptr_eq(value, before);
            // `before` keeps the old value alive: it is not dropped in here.
            if is_same {
                *value = Arc::clone(new);
            }
            is_same
        });
        changed.unwrap_or(false)
    }

    /// Takes the entry of this key out. The value is moved out, or cloned if it is being read at this
    /// moment.
    ///
    /// # Panics
    /// `V::clone` panics. The entry is out.
    pub fn try_remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.map.remove_sync(key).map(|(_, value)| own(value))
    }

    /// Whether there is a value for this key.
    #[must_use]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.contains_sync(key)
    }

    /// How many entries there are. While others add and remove it is about right.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Drops all entries.
    pub fn clear(&self) {
        let mut values = Vec::new();
        self.map.retain_sync(|_, value| {
            values.push(Arc::clone(value)); // to be dropped when no lock is held
            false
        });
    }

    /// Copies of the keys, in no order.
    ///
    /// Like all that goes through the whole dictionary it is no picture of one moment: what is there
    /// from beginning to end is in it, once; what others add or remove meanwhile may be.
    ///
    /// # Panics
    /// `K::clone` panics.
    #[must_use]
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let mut keys = Vec::with_capacity(self.len());
        self.map.iter_sync(|key, _| {
            keys.push(key.clone());
            true
        });
        keys
    }

    /// Copies of the values, in no order. See [`keys`](Self::keys).
    ///
    /// # Panics
    /// `V::clone` panics.
    #[must_use]
    pub fn values(&self) -> Vec<V>
    where
        V: Clone,
    {
        let mut values = Vec::with_capacity(self.len());
        self.map.iter_sync(|_, value| {
            values.push(Arc::clone(value));
            true
        });
        values.iter().map(|value| V::clone(value)).collect()
    }

    /// Copies of the entries, in no order. See [`keys`](Self::keys).
    ///
    /// # Panics
    /// `K::clone` or `V::clone` panics.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        let mut entries = Vec::with_capacity(self.len());
        self.map.iter_sync(|key, value| {
            entries.push((key.clone(), Arc::clone(value)));
            true
        });
        let entries = entries.into_iter();
        entries
            .map(|(key, value)| (key, V::clone(&value)))
            .collect()
    }

    /// Iterates over copies of the entries, in no order. See [`keys`](Self::keys).
    ///
    /// # Panics
    /// `K::clone` or `V::clone` panics.
    pub fn iter(&self) -> std::vec::IntoIter<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        self.to_vec().into_iter()
    }
}

/// The value, by moving if nobody else has it.
fn own<V: Clone>(value: Arc<V>) -> V {
    Arc::unwrap_or_clone(value)
}

impl<K, V> Clone for Dictionary<K, V> {
    /// The same dictionary, not a copy of what is in it.
    fn clone(&self) -> Self {
        Self {
            map: Arc::clone(&self.map),
        }
    }
}

impl<K: Eq + Hash, V> Default for Dictionary<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash, V> Extend<(K, V)> for Dictionary<K, V> {
    /// Of several values for one key the last stays.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Eq + Hash, V> FromIterator<(K, V)> for Dictionary<K, V> {
    /// Of several values for one key the last stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut dictionary = Self::new();
        dictionary.extend(entries);
        dictionary
    }
}

impl<K: Clone + Eq + Hash, V: Clone> IntoIterator for &Dictionary<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Dictionary<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary")
            .field("len", &self.len())
            .finish()
    }
}
