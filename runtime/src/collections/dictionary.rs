//! Values by key.

// No code of the user's runs under a lock: keys and values are in `Arc`s, so that all that happens under one is
// the counting of references. Keys are hashed before, compared on a copy of the few entries that have the hash, and what
// was found is looked for again by its address. Destructors run after.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

use super::shards::{Entry, Shards};
use super::store::drop_each;

/// Values by key: .NET's `ConcurrentDictionary`.
///
/// Closures that make values run without any lock, as in .NET: they may use the dictionary, take
/// their time and panic. In return what a closure has made is dropped if another thread was faster.
/// The same goes for `Hash`, `Eq`, `Clone` and the destructors of keys and values.
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

/// The entry that is there, and the one that was to be added.
type Met<K, V> = (Entry<K, V>, Entry<K, V>);

struct Map<K, V> {
    hasher: RandomState,
    shards: Shards<K, V>,
}

impl<K: Eq + Hash, V> Dictionary<K, V> {
    /// An empty dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty dictionary with room for that many entries before it grows, as far as there is memory for it.
    #[must_use]
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        let map = Map {
            hasher: RandomState::new(),
            shards: Shards::with_capacity(capacity),
        };
        Self { map: Arc::new(map) }
    }

    /// Adds a value if there is none for this key.
    ///
    /// # Errors
    /// There is one, which stays; key and value come back.
    pub fn try_add(&self, key: K, value: V) -> Result<(), (K, V)> {
        let hash = self.map.hasher.hash_one(&key);
        let added = self.add(hash, Entry::new(key, value));
        added.map(drop).map_err(|(_, entry)| entry.into_unseen())
    }

    /// Sets the value for this key. Answers whether there was one, which is dropped.
    pub fn insert(&self, key: K, value: V) -> bool {
        let hash = self.map.hasher.hash_one(&key);
        let mut entry = Entry::new(key, value);
        loop {
            let (there, back) = match self.add(hash, entry) {
                Ok(_) => return false,
                Err(both) => both,
            };
            // Under the key that is there.
            if self.map.shards.replace(hash, &there.key, None, &back.value) {
                return true;
            }
            entry = back;
        }
    }

    /// Adds an entry if there is none for its key. If there is one, that and the new one.
    fn add(&self, hash: u64, entry: Entry<K, V>) -> Result<Entry<K, V>, Met<K, V>> {
        loop {
            let seen = self.map.shards.of(hash);
            if let Some(there) = seen.find(&*entry.key) {
                return Err((there.clone(), entry));
            }
            // Unless another key with this hash has come meanwhile, which may be equal.
            if self.map.shards.add(&seen, &entry) {
                return Ok(entry);
            }
        }
    }

    /// The entry of this key, which has this hash.
    fn entry<Q>(&self, hash: u64, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.shards.of(hash).find(key).cloned()
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
        let hash = self.map.hasher.hash_one(key);
        self.entry(hash, key).map(|it| it.value)
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
        let made = make(&key);
        let hash = self.map.hasher.hash_one(&key);
        let entry = match self.add(hash, Entry::new(key, made)) {
            Ok(added) => added,
            Err((there, _)) => there,
        };
        V::clone(&entry.value)
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
        let hash = self.map.hasher.hash_one(&key);
        let key = Arc::new(key);
        loop {
            let Some(before) = self.entry(hash, &*key) else {
                let value = Arc::new(add(&key));
                let key = Arc::clone(&key);
                match self.add(hash, Entry { key, value }) {
                    Ok(added) => return V::clone(&added.value),
                    Err(_) => continue,
                }
            };
            let made = Arc::new(update(&key, &before.value));
            if self.exchange(hash, &before, &made) {
                return V::clone(&made);
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
        let hash = self.map.hasher.hash_one(key);
        let new = Arc::new(new);
        loop {
            match self.entry(hash, key) {
                Some(before) if *before.value == *expected => {
                    if self.exchange(hash, &before, &new) {
                        return true;
                    }
                }
                _ => return false,
            }
        }
    }

    /// Puts `new` in the place of the value of `before` if that is there still. While it is held it cannot come
    /// back by chance under the same address.
    fn exchange(&self, hash: u64, before: &Entry<K, V>, new: &Arc<V>) -> bool {
        let shards = &self.map.shards;
        shards.replace(hash, &before.key, Some(&before.value), new)
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
        let hash = self.map.hasher.hash_one(key);
        loop {
            let there = self.map.shards.of(hash).find(key)?.clone();
            if let Some(removed) = self.map.shards.remove(hash, &there.key) {
                drop(there);
                return Some(own(removed.value));
            }
        }
    }

    /// Whether there is a value for this key.
    #[must_use]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.map.hasher.hash_one(key);
        self.entry(hash, key).is_some()
    }

    /// How many entries there are. While others add and remove it is about right.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.shards.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.shards.len() == 0
    }

    /// Drops all entries.
    ///
    /// # Panics
    /// A destructor panics. The dictionary is empty, and all others have run.
    pub fn clear(&self) {
        drop_each(self.map.shards.take_all());
    }

    /// Copies of the keys, in no order.
    ///
    /// Like all that goes through the whole dictionary it is no picture of one moment: what is there
    /// from beginning to end is in it, and what others add or remove meanwhile may be. A key is in it once; if it is removed and added
    /// again meanwhile, perhaps not at all.
    ///
    /// # Panics
    /// `K::clone` panics.
    #[must_use]
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let entries = self.map.shards.all();
        entries.iter().map(|it| K::clone(&it.key)).collect()
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
        let entries = self.map.shards.all();
        entries.iter().map(|it| V::clone(&it.value)).collect()
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
        let entries = self.map.shards.all();
        let copy = |it: &Entry<K, V>| (K::clone(&it.key), V::clone(&it.value));
        entries.iter().map(copy).collect()
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
