//! Between threads nothing is lost and nothing doubled, clones share, and code of the user's that
//! runs inside of a call may use the collection again.

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use runspace::collections::{Bag, BlockingCollection, Dictionary, Queue, Stack};
use runspace::foreach_parallel;
use support::within;

const THREADS: usize = 4;
const EACH: usize = 5_000;

/// Puts numbers in from some threads and takes them out on others; each comes out once.
fn nothing_is_lost_or_doubled<C>(
    collection: C,
    put: fn(&C, usize),
    take: fn(&C) -> Option<usize>,
) -> Vec<Vec<usize>>
where
    C: Clone + Send + Sync + 'static,
{
    let taken = AtomicUsize::new(0);
    let lists = thread::scope(|scope| {
        for producer in 0..THREADS {
            let collection = collection.clone();
            scope.spawn(move || (0..EACH).for_each(|n| put(&collection, producer * EACH + n)));
        }
        let consumer = || {
            let mut list = Vec::new();
            while taken.load(Ordering::Relaxed) < THREADS * EACH {
                match take(&collection) {
                    Some(n) => {
                        taken.fetch_add(1, Ordering::Relaxed);
                        list.push(n);
                    }
                    None => thread::yield_now(),
                }
            }
            list
        };
        let consumers: Vec<_> = (0..THREADS).map(|_| scope.spawn(consumer)).collect();
        consumers
            .into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    let all: HashSet<_> = lists.iter().flatten().copied().collect();
    assert_eq!(all.len(), THREADS * EACH);
    assert_eq!(lists.iter().map(Vec::len).sum::<usize>(), THREADS * EACH);
    assert_eq!(take(&collection), None);
    lists
}

#[test]
fn lists_between_threads() {
    within(120, || {
        nothing_is_lost_or_doubled(Bag::new(), Bag::add, Bag::try_take);
        nothing_is_lost_or_doubled(Stack::new(), Stack::push, Stack::try_pop);
        let lists = nothing_is_lost_or_doubled(Queue::new(), Queue::enqueue, Queue::try_dequeue);
        // What one thread has put in, no thread takes out of its order.
        for list in lists {
            for producer in 0..THREADS {
                let own: Vec<_> = list.iter().filter(|n| **n / EACH == producer).collect();
                assert!(own.is_sorted());
            }
        }
        nothing_is_lost_or_doubled(
            BlockingCollection::bounded(3),
            |line, n| line.add(n).unwrap(),
            BlockingCollection::try_take,
        );
    });
}

#[test]
fn a_bag_is_never_seen_empty_that_is_not() {
    within(60, || {
        let bag = Bag::new();
        bag.add(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for n in 0..EACH {
                        bag.add(n); // there is always one more than are being taken
                        assert!(bag.try_peek().is_some() || !bag.is_empty());
                        assert!(bag.try_take().is_some());
                    }
                });
            }
        });
        assert_eq!(bag.len(), 1);
    });
}

#[test]
fn ranges_stay_together_on_a_stack() {
    within(60, || {
        let stack = Stack::new();
        thread::scope(|scope| {
            for producer in 0..THREADS {
                let stack = &stack;
                scope.spawn(move || (0..EACH / 10).for_each(|_| stack.push_range([producer; 5])));
            }
            scope.spawn(|| {
                for _ in 0..1000 {
                    let range = stack.try_pop_range(5);
                    assert!(range.iter().all(|it| *it == range[0]), "{range:?}");
                }
            });
        });
        assert_eq!(stack.len() % 5, 0);
    });
}

#[test]
fn updates_of_a_dictionary_that_meet_all_count() {
    within(120, || {
        let counts = Dictionary::new();
        let runs = Arc::new(AtomicUsize::new(0));
        foreach_parallel!(
            0..20_000usize,
            throttle = 4,
            using(counts.clone(), runs.clone()),
            |n| {
                counts.add_or_update(
                    n % 3,
                    |_| 1usize,
                    |_, count| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        count + 1
                    },
                );
            }
        );
        assert_eq!(counts.values().iter().sum::<usize>(), 20_000);
        assert!(runs.load(Ordering::Relaxed) >= 20_000 - 3);
    });
}

#[test]
fn of_values_made_at_once_one_stays_and_all_see_it() {
    within(60, || {
        for _ in 0..500 {
            let made = Dictionary::new();
            let next = AtomicUsize::new(0);
            let seen: HashSet<usize> = thread::scope(|scope| {
                let get = || made.get_or_add("key", |_| next.fetch_add(1, Ordering::SeqCst));
                let all: Vec<_> = (0..THREADS).map(|_| scope.spawn(get)).collect();
                all.into_iter().map(|it| it.join().unwrap()).collect()
            });
            assert_eq!(seen.len(), 1);
            assert_eq!(made.try_get("key"), seen.into_iter().next());
            assert!(made.try_add("key", 9).is_err());
        }
    });
}

#[test]
fn one_of_many_that_compare_wins() {
    within(60, || {
        let states = Dictionary::new();
        for round in 0..1000usize {
            states.insert("turn", round);
            let wins = thread::scope(|scope| {
                let update = || states.try_update("turn", round + 1, &round);
                let all: Vec<_> = (0..3).map(|_| scope.spawn(update)).collect();
                all.into_iter()
                    .filter(|_| true)
                    .map(|it| it.join().unwrap())
                    .filter(|it| *it)
                    .count()
            });
            assert_eq!(wins, 1);
        }
    });
}

#[test]
fn closures_of_a_dictionary_may_use_it() {
    within(60, || {
        let all = Dictionary::new();
        let fibonacci = |n: u64| {
            fn of(all: &Dictionary<u64, u64>, n: u64) -> u64 {
                all.get_or_add(n, |n| {
                    if *n < 2 {
                        *n
                    } else {
                        of(all, n - 1) + of(all, n - 2)
                    }
                })
            }
            of(&all, n)
        };
        assert_eq!(fibonacci(80), 23_416_728_348_467_685);
        assert_eq!(all.len(), 81);
        all.add_or_update(
            0,
            |_| unreachable!(),
            |_, old| {
                all.try_remove(&1); // of another key, and of this one in the first run
                if *old == 0 {
                    all.insert(0, 5);
                }
                old + 1
            },
        );
        assert_eq!(
            all.try_get(&0),
            Some(6),
            "made again, of the value that was put in its place"
        );
        let read = all.read(&0, |value| {
            all.clear();
            *value
        });
        assert_eq!((read, all.len()), (Some(6), 0));
    });
}

struct Tangled(Dictionary<u8, Tangled>, u8);

impl Clone for Tangled {
    fn clone(&self) -> Self {
        assert!(self.0.len() < 100 && !self.0.contains_key(&200));
        Self(self.0.clone(), self.1)
    }
}

impl Drop for Tangled {
    fn drop(&mut self) {
        if self.1 != u8::MAX && self.0.contains_key(&self.1) {
            self.0.insert(99, Self(Dictionary::new(), u8::MAX));
        }
    }
}

impl PartialEq for Noted {
    fn eq(&self, other: &Self) -> bool {
        self.0.enqueue(self.1);
        self.1 == other.1
    }
}

struct Noted(Queue<u8>, u8);

#[test]
fn values_of_a_dictionary_may_use_it_in_clone_and_drop() {
    within(60, || {
        let all = Dictionary::new();
        for n in 0..20 {
            all.insert(n, Tangled(all.clone(), n));
        }
        drop(all.try_get(&3));
        drop(all.to_vec());
        drop(all.values());
        all.insert(3, Tangled(all.clone(), 3));
        drop(all.try_remove(&4));
        all.add_or_update(5, |_| unreachable!(), |_, old| old.clone());
        all.clear();
        while !all.is_empty() {
            all.clear(); // each that goes may put another in
            if all.keys() == [99] {
                break;
            }
        }
        let noted = Dictionary::new();
        let queue = Queue::new();
        noted.insert("a", Noted(queue.clone(), 1));
        assert!(noted.try_update("a", Noted(queue.clone(), 2), &Noted(queue.clone(), 1)));
        assert_eq!(queue.into_vec(), [1]);
    });
}

/// Uses a list in the clone of its own element.
struct Curious<C>(Option<C>, fn(&C));

impl<C: Clone> Clone for Curious<C> {
    fn clone(&self) -> Self {
        if let Some(list) = &self.0 {
            self.1(list);
        }
        Self(self.0.clone(), self.1)
    }
}

#[derive(Clone)]
struct Lists(
    Queue<Curious<Lists>>,
    Stack<Curious<Lists>>,
    Bag<Curious<Lists>>,
);

#[test]
fn a_clone_that_uses_its_own_list_is_told_and_hangs_nothing() {
    within(60, || {
        let lists = Lists(Queue::new(), Stack::new(), Bag::new());
        let add = |f: fn(&Lists)| Curious(Some(lists.clone()), f);
        lists.0.enqueue(add(|it| drop(it.0.try_dequeue())));
        lists.1.push(add(|it| it.1.clear()));
        lists.2.add(add(|it| it.2.clear()));
        let told = |call: &dyn Fn()| {
            let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
            let text = payload.downcast_ref::<&str>().map(|it| it.to_string());
            let text = text
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap();
            assert!(text.contains("of its own element"), "{text}");
        };
        told(&|| drop(lists.0.try_peek()));
        told(&|| drop(lists.0.to_vec()));
        told(&|| drop(lists.1.try_peek()));
        told(&|| drop(lists.2.to_vec()));
        told(&|| drop(lists.2.try_peek()));
        assert_eq!((lists.0.len(), lists.1.len(), lists.2.len()), (1, 1, 1));
        // Take the knots apart, or they hold each other for ever.
        let Lists(queue, stack, bag) = lists;
        queue.clear();
        stack.clear();
        bag.clear();
    });
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_leaves_is_dropped_at_once_and_the_rest_with_the_last_clone() {
    within(60, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let one = || Counted(Arc::clone(&drops));
        let dictionary = Dictionary::new();
        for n in (0..100).chain(0..10) {
            let is_full = dictionary.len() == 100;
            assert_eq!(dictionary.insert(n, one()), is_full);
        }
        assert_eq!(drops.swap(0, Ordering::SeqCst), 10);
        dictionary.clear();
        assert_eq!(drops.swap(0, Ordering::SeqCst), 100);
        dictionary.insert(0, one());
        let clone = dictionary.clone();
        drop(dictionary);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(clone);
        assert_eq!(drops.swap(0, Ordering::SeqCst), 1);

        let lists = (
            Bag::new(),
            Queue::new(),
            Stack::new(),
            BlockingCollection::unbounded(),
        );
        for _ in 0..10 {
            lists.0.add(one());
            lists.1.enqueue(one());
            lists.2.push(one());
            lists.3.add(one()).unwrap();
        }
        drop((
            lists.0.try_take(),
            lists.1.try_dequeue(),
            lists.2.try_pop(),
            lists.3.try_take(),
        ));
        assert_eq!(drops.swap(0, Ordering::SeqCst), 4);
        drop(lists);
        assert_eq!(drops.load(Ordering::SeqCst), 36);
    });
}

#[test]
fn a_panic_in_a_clone_or_a_closure_leaves_the_collection_whole() {
    #[derive(Debug)]
    struct Bad(u8);
    impl Clone for Bad {
        fn clone(&self) -> Self {
            assert!(self.0 < 5, "cannot be cloned");
            Self(self.0)
        }
    }
    within(60, || {
        let fails = |call: &dyn Fn()| catch_unwind(AssertUnwindSafe(call)).is_err();
        let queue: Queue<_> = (0..10).map(Bad).collect();
        let bag: Bag<_> = (0..10).map(Bad).collect();
        let dictionary: Dictionary<_, _> = (0..10).map(|n| (n, Bad(n))).collect();
        assert!(fails(&|| drop(queue.to_vec())));
        assert!(fails(&|| drop(bag.to_vec())));
        assert!(fails(&|| drop(dictionary.try_get(&7))));
        assert!(fails(&|| {
            dictionary.get_or_add(20, |_| panic!("no value"));
        }));
        assert!(fails(&|| {
            dictionary.add_or_update(1, |_| panic!("no value"), |_, _| panic!("no value"));
        }));
        assert_eq!((queue.len(), bag.len(), dictionary.len()), (10, 10, 10));
        assert_eq!(dictionary.read(&1, |it| it.0), Some(1));
        assert_eq!(queue.into_vec().len(), 10);
    });
}

#[test]
fn collections_are_shared_by_items() {
    fn check<T: Send + Sync + Clone + Default + std::fmt::Debug>() {}
    check::<Bag<std::cell::Cell<u8>>>();
    check::<Queue<std::cell::Cell<u8>>>();
    check::<Stack<std::cell::Cell<u8>>>();
    check::<BlockingCollection<std::cell::Cell<u8>>>();
    check::<Dictionary<String, Arc<u8>>>();
    within(60, || {
        let (bag, queue, stack) = (Bag::new(), Queue::new(), Stack::new());
        foreach_parallel!(
            0..1000u32,
            throttle = 4,
            using(bag.clone(), queue.clone(), stack.clone()),
            |n| {
                bag.add(n);
                queue.enqueue(n);
                stack.push(n);
            }
        );
        let sum = |it: Vec<u32>| it.into_iter().sum::<u32>();
        assert_eq!(
            [sum(bag.to_vec()), sum(queue.to_vec()), sum(stack.to_vec())],
            [499_500; 3]
        );
        assert_eq!(format!("{bag:?}"), "Bag { len: 1000 }");
    });
}
