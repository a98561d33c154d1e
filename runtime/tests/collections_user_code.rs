//! Code of the user's that collections run: `Hash`, `Eq`, `Clone` and destructors of keys and values. It may panic and
//! use the collection, and hangs nothing.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use runspace::collections::{Bag, BlockingCollection, Dictionary, Queue, Stack};
use support::within;

const LIMIT: u64 = 60;

/// What is to be done in the user's code.
type Act = Arc<dyn Fn() + Send + Sync>;

thread_local! {
    /// Where it is to be done on this thread, and what: in one place at a time, and not within itself.
    static PLAN: RefCell<Option<(&'static str, Act)>> = const { RefCell::new(None) };
    static ACTED: Cell<usize> = const { Cell::new(0) };
}

fn act(place: &str) {
    let plan = PLAN.with(|it| it.borrow_mut().take_if(|it| it.0 == place));
    if let Some((place, act)) = plan {
        ACTED.set(ACTED.get() + 1);
        act();
        PLAN.with(|it| *it.borrow_mut() = Some((place, act)));
    }
}

/// Runs `body`, and `act` in each piece of code of that kind. Answers how often.
fn with(place: &'static str, act: Act, body: impl FnOnce()) -> usize {
    ACTED.set(0);
    PLAN.with(|it| *it.borrow_mut() = Some((place, act)));
    body();
    PLAN.with(|it| it.borrow_mut().take());
    ACTED.get()
}

/// A key or a value with all of that.
#[derive(Debug)]
struct Loud(u32);

impl Hash for Loud {
    fn hash<H: Hasher>(&self, state: &mut H) {
        act("hash");
        // Of any two keys one in four has the same.
        (self.0 % 4).hash(state);
    }
}

impl PartialEq for Loud {
    fn eq(&self, other: &Self) -> bool {
        act("eq");
        self.0 == other.0
    }
}

impl Eq for Loud {}

impl Clone for Loud {
    fn clone(&self) -> Self {
        act("clone");
        Self(self.0)
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        act("drop");
    }
}

const PLACES: [&str; 4] = ["hash", "eq", "clone", "drop"];

fn filled() -> Dictionary<Loud, Loud> {
    (0..8).map(|n| (Loud(n), Loud(n))).collect()
}

type Use = fn(&Dictionary<Loud, Loud>);

/// Each way to use a dictionary, in a word.
fn uses() -> Vec<(&'static str, Use)> {
    vec![
        ("try_add", |it| drop(it.try_add(Loud(1), Loud(9)))),
        ("try_add of a new one", |it| {
            drop(it.try_add(Loud(9), Loud(9)))
        }),
        ("insert", |it| _ = it.insert(Loud(1), Loud(9))),
        ("insert of a new one", |it| _ = it.insert(Loud(10), Loud(9))),
        ("try_get", |it| drop(it.try_get(&Loud(5)))),
        ("read", |it| _ = it.read(&Loud(5), |value| value.0)),
        ("get_or_add", |it| drop(it.get_or_add(Loud(6), |_| Loud(6)))),
        ("get_or_add of a new one", |it| {
            drop(it.get_or_add(Loud(11), |_| Loud(6)))
        }),
        ("add_or_update", |it| {
            drop(it.add_or_update(Loud(7), |_| Loud(0), |_, old| Loud(old.0)));
        }),
        ("try_update", |it| {
            _ = it.try_update(&Loud(2), Loud(3), &Loud(2))
        }),
        ("try_remove", |it| drop(it.try_remove(&Loud(3)))),
        ("contains_key", |it| _ = it.contains_key(&Loud(4))),
        ("keys", |it| drop(it.keys())),
        ("values", |it| drop(it.values())),
        ("to_vec", |it| drop(it.to_vec())),
        ("clear", |it| it.clear()),
    ]
}

fn works(all: &Dictionary<Loud, Loud>) {
    for n in 0..20 {
        all.insert(Loud(n), Loud(n + 1));
        assert_eq!(all.read(&Loud(n), |it| it.0), Some(n + 1));
    }
    assert_eq!(all.len(), 20);
    let mut keys: Vec<u32> = all.keys().iter().map(|it| it.0).collect();
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..20));
    for n in 0..20 {
        assert_eq!(all.try_remove(&Loud(n)).map(|it| it.0), Some(n + 1));
    }
    assert!(all.is_empty());
}

#[test]
fn a_panic_of_any_code_of_the_users_leaves_a_dictionary_that_works() {
    within(LIMIT, || {
        for place in PLACES {
            let mut acted = 0;
            for (name, one) in uses() {
                let all = filled();
                let panics: Act = Arc::new(move || {
                    if !thread::panicking() {
                        panic!("in {place} of {name}");
                    }
                });
                acted += with(place, panics, || {
                    let _ = catch_unwind(AssertUnwindSafe(|| one(&all)));
                });
                all.clear();
                works(&all);
                // From another thread too, which would wait for a lock.
                thread::spawn(move || works(&all)).join().unwrap();
            }
            assert!(acted > 0, "{place}");
        }
    });
}

#[test]
fn any_code_of_the_users_may_use_the_dictionary_and_others_may_meanwhile() {
    within(LIMIT, || {
        for place in PLACES {
            let mut acted = 0;
            for (_, one) in uses() {
                let all = filled();
                let same = all.clone();
                let uses_it: Act = Arc::new(move || {
                    for (_, one) in uses() {
                        one(&same);
                    }
                    let same = same.clone();
                    // If a lock were held, this would wait for it.
                    thread::spawn(move || uses().iter().for_each(|(_, one)| one(&same)))
                        .join()
                        .unwrap();
                });
                acted += with(place, uses_it, || one(&all));
                all.clear();
                works(&all);
            }
            assert!(acted > 0, "{place}");
        }
    });
}

#[test]
fn of_destructors_that_panic_in_clear_all_run() {
    struct Counted(u32, Arc<AtomicUsize>);
    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Counted {}
    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
            if self.0.is_multiple_of(3) {
                panic!("number {}", self.0);
            }
        }
    }
    within(LIMIT, || {
        let check = |name: &str, clear: fn(u32, &Arc<AtomicUsize>)| {
            let dropped = Arc::new(AtomicUsize::new(0));
            let result = catch_unwind(AssertUnwindSafe(|| clear(30, &dropped)));
            assert!(result.is_err(), "{name}");
            assert_eq!(dropped.load(Ordering::SeqCst), 30, "{name}");
        };
        check("dictionary", |count, dropped| {
            let all = Dictionary::new();
            (0..count).for_each(|n| _ = all.insert(Counted(n, Arc::clone(dropped)), n));
            let cleared = catch_unwind(AssertUnwindSafe(|| all.clear()));
            assert!(all.is_empty());
            cleared.unwrap_or_else(|it| std::panic::resume_unwind(it));
        });
        check("dictionary that goes", |count, dropped| {
            let all = Dictionary::new();
            (0..count).for_each(|n| _ = all.insert(n, Counted(n, Arc::clone(dropped))));
        });
        check("bag", |count, dropped| {
            let all: Bag<_> = (0..count)
                .map(|n| Counted(n, Arc::clone(dropped)))
                .collect();
            all.clear();
        });
        check("queue", |count, dropped| {
            let all: Queue<_> = (0..count)
                .map(|n| Counted(n, Arc::clone(dropped)))
                .collect();
            all.clear();
        });
        check("stack", |count, dropped| {
            let all: Stack<_> = (0..count)
                .map(|n| Counted(n, Arc::clone(dropped)))
                .collect();
            all.clear();
        });
        check("bag that goes", |count, dropped| {
            drop(
                (0..count)
                    .map(|n| Counted(n, Arc::clone(dropped)))
                    .collect::<Bag<_>>(),
            );
        });
        check("queue that goes", |count, dropped| {
            drop(
                (0..count)
                    .map(|n| Counted(n, Arc::clone(dropped)))
                    .collect::<Queue<_>>(),
            );
        });
        check("stack that goes", |count, dropped| {
            drop(
                (0..count)
                    .map(|n| Counted(n, Arc::clone(dropped)))
                    .collect::<Stack<_>>(),
            );
        });
        check("blocking collection that goes", |count, dropped| {
            let all = BlockingCollection::unbounded();
            (0..count).for_each(|n| drop(all.add(Counted(n, Arc::clone(dropped)))));
        });
    });
}

/// A value whose destructor uses the list that it was in.
struct Uses(Box<dyn Fn() + Send>);

impl Drop for Uses {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn destructors_may_use_the_list_that_the_value_was_in() {
    within(LIMIT, || {
        let bag = Bag::new();
        let queue = Queue::new();
        let stack = Stack::new();
        let blocking = BlockingCollection::unbounded();
        let of_bag = bag.clone();
        bag.add(Uses(Box::new(move || assert!(of_bag.try_take().is_none()))));
        let of_queue = queue.clone();
        queue.enqueue(Uses(Box::new(move || assert!(of_queue.is_empty()))));
        let of_stack = stack.clone();
        stack.push(Uses(Box::new(move || assert!(of_stack.is_empty()))));
        let of_blocking = blocking.clone();
        blocking
            .add(Uses(Box::new(move || assert_eq!(of_blocking.len(), 0))))
            .unwrap();
        bag.clear();
        queue.clear();
        stack.clear();
        drop(blocking.take());
    });
}

#[test]
fn a_key_is_told_once_whatever_writers_do() {
    within(LIMIT, || {
        let all = Dictionary::new();
        (0..1000_u32).for_each(|n| _ = all.insert(n, n));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2_u32)
            .map(|writer| {
                let (all, stop) = (all.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    let mut n = 1000 + writer;
                    while !stop.load(Ordering::Relaxed) {
                        // The table grows and shrinks under who reads it.
                        all.insert(n, n);
                        if !n.is_multiple_of(5) {
                            all.try_remove(&n);
                        }
                        n += 2;
                        if n > 40_000 {
                            (1000..40_003).for_each(|it| _ = all.try_remove(&it));
                            n = 1000 + writer;
                        }
                    }
                })
            })
            .collect();
        for _ in 0..300 {
            let mut times = HashMap::<u32, usize>::new();
            all.keys()
                .into_iter()
                .for_each(|key| *times.entry(key).or_default() += 1);
            let twice = times.iter().find(|it| *it.1 > 1);
            assert_eq!(twice, None);
            let missing = (0..1000).find(|it| !times.contains_key(it));
            assert_eq!(missing, None, "it was there from beginning to end");
            let mut pairs: Vec<u32> = all.to_vec().into_iter().map(|it| it.0).collect();
            let count = pairs.len();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(pairs.len(), count);
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|it| it.join().unwrap());
    });
}

#[test]
fn of_any_capacity_there_is_a_dictionary() {
    within(LIMIT, || {
        for capacity in [0, 1, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
            let all = Dictionary::with_capacity(capacity);
            assert!(!all.insert(1, 2));
            assert_eq!(all.try_get(&1), Some(2));
        }
    });
}

/// Keys whose hashes are all the same, against a map of the standard library's.
#[test]
fn keys_with_one_hash_are_kept_apart() {
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Same(u32);
    impl Hash for Same {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    within(LIMIT, || {
        let all = Dictionary::new();
        let mut model = HashMap::new();
        let mut random = 1_u32;
        for step in 0..5000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = random >> 16 & 15;
            match random >> 8 & 3 {
                0 => assert_eq!(
                    all.insert(Same(key), step),
                    model.insert(key, step).is_some()
                ),
                1 => assert_eq!(all.try_remove(&Same(key)), model.remove(&key)),
                2 => {
                    let value = all.add_or_update(Same(key), |_| step, |_, old| old + 1);
                    let expected = model.entry(key).and_modify(|it| *it += 1).or_insert(step);
                    assert_eq!(value, *expected);
                }
                _ => assert_eq!(
                    all.try_add(Same(key), step).is_ok(),
                    !model.contains_key(&key)
                ),
            }
            model
                .entry(key)
                .or_insert_with(|| all.try_get(&Same(key)).unwrap_or(u32::MAX));
            if model[&key] == u32::MAX {
                model.remove(&key);
            }
            assert_eq!(all.len(), model.len());
        }
        let mut entries: Vec<_> = all.iter().map(|(key, value)| (key.0, value)).collect();
        entries.sort_unstable();
        let mut expected: Vec<_> = model.into_iter().collect();
        expected.sort_unstable();
        assert_eq!(entries, expected);
    });
}

/// Many threads that add and remove the same few keys: of each there is one at most, and each is had once.
#[test]
fn adds_and_removals_that_meet_are_told_apart() {
    within(LIMIT, || {
        let all = Dictionary::new();
        let (added, removed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let (all, added, removed) = (all.clone(), Arc::clone(&added), Arc::clone(&removed));
                thread::spawn(move || {
                    for n in 0..5000_u32 {
                        let key = (n * 7 + thread) % 3;
                        if all.try_add(key, n).is_ok() {
                            added.fetch_add(1, Ordering::Relaxed);
                        }
                        if all.try_remove(&((key + 1) % 3)).is_some() {
                            removed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|it| it.join().unwrap());
        let left = added.load(Ordering::Relaxed) - removed.load(Ordering::Relaxed);
        assert_eq!(all.len(), left);
        assert_eq!(all.keys().len(), left);
    });
}
