//! Entries by the hash of their key, in parts that each have a lock.
//!
//! Under a lock nothing of the user's runs: hashes come ready, entries are told apart by address, and what is taken out
//! goes to the caller. An entry stays in its shard, so that whoever goes through all of them meets it once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::store::drop_each;
use crate::sync::{Mutex, MutexGuard};

/// A key and its value.
pub(super) struct Entry<K, V> {
    pub(super) key: Arc<K>,
    pub(super) value: Arc<V>,
}

impl<K, V> Entry<K, V> {
    pub(super) fn new(key: K, value: V) -> Self {
        Self {
            key: Arc::new(key),
            value: Arc::new(value),
        }
    }

    /// The key and the value of an entry that was never added.
    pub(super) fn into_unseen(self) -> (K, V) {
        let key = Arc::into_inner(self.key).expect("nobody has seen it");
        let value = Arc::into_inner(self.value).expect("nobody has seen it");
        (key, value)
    }
}

impl<K, V> Clone for Entry<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: Arc::clone(&self.key),
            value: Arc::clone(&self.value),
        }
    }
}

/// The entries whose keys have the same hash: hardly ever more than one.
enum Group<K, V> {
    One(Entry<K, V>),
    Several(Arc<[Entry<K, V>]>),
}

impl<K, V> Group<K, V> {
    fn entries(&self) -> &[Entry<K, V>] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Several(entries) => entries,
        }
    }

    /// `None` for no entries.
    fn of(mut entries: Vec<Entry<K, V>>) -> Option<Self> {
        match entries.len() {
            0 => None,
            1 => entries.pop().map(Self::One),
            _ => Some(Self::Several(entries.into())),
        }
    }
}

impl<K, V> Clone for Group<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::One(entry) => Self::One(entry.clone()),
            Self::Several(entries) => Self::Several(Arc::clone(entries)),
        }
    }
}

/// The entries that had a hash at one moment.
pub(super) struct Seen<K, V> {
    hash: u64,
    group: Option<Group<K, V>>,
}

impl<K, V> Seen<K, V> {
    fn entries(&self) -> &[Entry<K, V>] {
        self.group.as_ref().map_or(&[], Group::entries)
    }

    /// The one with this key. Runs the user's `Eq`.
    pub(super) fn find<Q>(&self, key: &Q) -> Option<&Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.entries().iter().find(|it| (*it.key).borrow() == key)
    }
}

/// The hash is the hash.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a hash is a u64");
    }
}

type Groups<K, V> = HashMap<u64, Group<K, V>, BuildHasherDefault<Itself>>;

struct Shard<K, V> {
    groups: Groups<K, V>,
    /// How many entries there are in them.
    len: usize,
}

/// A shard and its lock, away from those of the others.
type Part<K, V> = CachePadded<Mutex<Shard<K, V>>>;

pub(super) struct Shards<K, V> {
    all: Box<[Part<K, V>]>,
}

impl<K, V> Shards<K, V> {
    /// With room for so many, as far as there is memory for it.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        /// More of them would only cost those who look into all.
        const MOST: usize = 128;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let count = (threads.min(MOST) * 4).next_power_of_two().min(MOST);
        let shard = || {
            let mut groups = Groups::default();
            // Room that cannot be had beforehand may be had later, or never needed.
            let _ = groups.try_reserve(capacity.div_ceil(count));
            CachePadded::new(Mutex::new(Shard { groups, len: 0 }))
        };
        Self {
            all: (0..count).map(|_| shard()).collect(),
        }
    }

    fn lock(&self, hash: u64) -> MutexGuard<'_, Shard<K, V>> {
        // Not the bits that the tables of the shards go by.
        let index = usize::try_from(hash >> 32).unwrap_or_default() >> 12;
        self.all[index & (self.all.len() - 1)].lock()
    }

    /// The entries that have this hash now.
    pub(super) fn of(&self, hash: u64) -> Seen<K, V> {
        let group = self.lock(hash).groups.get(&hash).cloned();
        Seen { hash, group }
    }

    /// Adds an entry, if the keys with its hash are still those that were seen.
    pub(super) fn add(&self, seen: &Seen<K, V>, entry: &Entry<K, V>) -> bool {
        let mut shard = self.lock(seen.hash);
        let there = shard.groups.get(&seen.hash);
        let there = there.map_or(&[][..], Group::entries);
        let same_key = |(a, b): (&Entry<K, V>, &Entry<K, V>)| Arc::ptr_eq(&a.key, &b.key);
        let is_same =
            there.len() == seen.entries().len() && there.iter().zip(seen.entries()).all(same_key);
        if !is_same {
            return false;
        }
        let mut entries = Vec::with_capacity(there.len() + 1);
        entries.extend_from_slice(there);
        entries.push(entry.clone());
        shard.len += 1;
        let before = shard.set(seen.hash, entries);
        drop(shard);
        drop(before);
        true
    }

    /// Puts `new` in the place of the value of this key if that is still there and, should it matter, the value
    /// is `before`.
    pub(super) fn replace(
        &self,
        hash: u64,
        key: &Arc<K>,
        before: Option<&Arc<V>>,
        new: &Arc<V>,
    ) -> bool {
        let mut shard = self.lock(hash);
        let fits = |it: &Entry<K, V>| {
            Arc::ptr_eq(&it.key, key) && before.is_none_or(|before| Arc::ptr_eq(before, &it.value))
        };
        let old = match shard.groups.get_mut(&hash) {
            None => return false,
            Some(Group::One(entry)) if fits(entry) => (
                Some(std::mem::replace(&mut entry.value, Arc::clone(new))),
                None,
            ),
            Some(Group::One(_)) => return false,
            Some(Group::Several(entries)) => {
                let Some(index) = entries.iter().position(fits) else {
                    return false;
                };
                let mut changed = entries.to_vec();
                let value = std::mem::replace(&mut changed[index].value, Arc::clone(new));
                (Some(value), shard.set(hash, changed))
            }
        };
        drop(shard);
        drop(old);
        true
    }

    /// Takes the entry of this key out, if that is still there.
    pub(super) fn remove(&self, hash: u64, key: &Arc<K>) -> Option<Entry<K, V>> {
        let mut shard = self.lock(hash);
        let index = shard.index_of(hash, key)?;
        let mut entries = shard.entries(hash).to_vec();
        let removed = entries.swap_remove(index);
        shard.len -= 1;
        let group = shard.set(hash, entries);
        drop(shard);
        drop(group);
        Some(removed)
    }

    pub(super) fn len(&self) -> usize {
        self.all.iter().map(|it| it.lock().len).sum()
    }

    /// All entries, each shard at a moment of its own.
    pub(super) fn all(&self) -> Vec<Entry<K, V>> {
        let mut all = Vec::new();
        for shard in &self.all {
            let shard = shard.lock();
            all.reserve(shard.len);
            let groups = shard.groups.values();
            all.extend(groups.flat_map(|it| it.entries()).cloned());
        }
        all
    }

    /// Takes all entries out.
    pub(super) fn take_all(&self) -> Vec<Entry<K, V>> {
        let mut all = Vec::new();
        for shard in &self.all {
            let mut shard = shard.lock();
            shard.len = 0;
            let groups = std::mem::take(&mut shard.groups);
            drop(shard);
            all.extend(groups.into_values().flat_map(|it| it.entries().to_vec()));
        }
        all
    }
}

impl<K, V> Shard<K, V> {
    fn entries(&self, hash: u64) -> &[Entry<K, V>] {
        self.groups.get(&hash).map_or(&[], Group::entries)
    }

    fn index_of(&self, hash: u64, key: &Arc<K>) -> Option<usize> {
        self.entries(hash)
            .iter()
            .position(|it| Arc::ptr_eq(&it.key, key))
    }

    /// Sets the entries with this hash. Answers those before, for the caller to drop without the lock.
    fn set(&mut self, hash: u64, entries: Vec<Entry<K, V>>) -> Option<Group<K, V>> {
        match (self.groups.entry(hash), Group::of(entries)) {
            (hash_map::Entry::Occupied(mut it), Some(group)) => Some(it.insert(group)),
            (hash_map::Entry::Occupied(it), None) => Some(it.remove()),
            (hash_map::Entry::Vacant(it), Some(group)) => {
                it.insert(group);
                None
            }
            (hash_map::Entry::Vacant(_), None) => None,
        }
    }
}

impl<K, V> Drop for Shards<K, V> {
    fn drop(&mut self) {
        drop_each(self.take_all());
    }
}
