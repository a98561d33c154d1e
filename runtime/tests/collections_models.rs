//! On one thread, each collection does what the one of std does.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;
use runspace::collections::{
    AddErrorKind, Bag, BlockingCollection, Dictionary, Queue, Stack, TakeError,
};

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    AddSome(Vec<u8>),
    Take,
    TakeSome(usize),
    Peek,
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u8>().prop_map(Step::Add),
        2 => prop::collection::vec(any::<u8>(), 0..6).prop_map(Step::AddSome),
        5 => Just(Step::Take),
        2 => (0usize..6).prop_map(Step::TakeSome),
        2 => Just(Step::Peek),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..80)
}

fn sorted(mut values: Vec<u8>) -> Vec<u8> {
    values.sort_unstable();
    values
}

#[derive(Clone, Debug)]
enum Change {
    TryAdd(u8, u8),
    Insert(u8, u8),
    GetOrAdd(u8, u8),
    AddOrUpdate(u8, u8),
    TryUpdate(u8, u8, u8),
    TryRemove(u8),
    Look(u8),
    Clear,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let (key, value) = (0u8..12, 0u8..4);
    let pair = (key.clone(), value.clone());
    let change = prop_oneof![
        4 => pair.clone().prop_map(|(k, v)| Change::TryAdd(k, v)),
        2 => pair.clone().prop_map(|(k, v)| Change::Insert(k, v)),
        2 => pair.clone().prop_map(|(k, v)| Change::GetOrAdd(k, v)),
        3 => pair.clone().prop_map(|(k, v)| Change::AddOrUpdate(k, v)),
        3 => (key.clone(), value.clone(), value).prop_map(|(k, n, e)| Change::TryUpdate(k, n, e)),
        3 => key.clone().prop_map(Change::TryRemove),
        3 => key.prop_map(Change::Look),
        1 => Just(Change::Clear),
    ];
    prop::collection::vec(change, 0..120)
}

proptest! {
    #[test]
    fn a_queue_is_a_vec_deque(steps in steps()) {
        let (mut queue, mut model) = (Queue::new(), VecDeque::new());
        for step in steps {
            match step {
                Step::Add(n) => {
                    queue.enqueue(n);
                    model.push_back(n);
                }
                Step::AddSome(some) => {
                    queue.extend(some.clone());
                    model.extend(some);
                }
                Step::Take => prop_assert_eq!(queue.try_dequeue(), model.pop_front()),
                Step::TakeSome(n) => {
                    for _ in 0..n {
                        prop_assert_eq!(queue.try_dequeue(), model.pop_front());
                    }
                }
                Step::Peek => prop_assert_eq!(queue.try_peek(), model.front().copied()),
                Step::Clear => {
                    queue.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.is_empty());
            prop_assert_eq!(queue.iter().collect::<VecDeque<_>>(), model.clone());
        }
        prop_assert_eq!(queue.into_vec(), Vec::from(model));
    }

    #[test]
    fn a_stack_is_a_vec(steps in steps()) {
        let (stack, mut model) = (Stack::new(), Vec::new());
        for step in steps {
            match step {
                Step::Add(n) => {
                    stack.push(n);
                    model.push(n);
                }
                Step::AddSome(some) => {
                    stack.push_range(some.clone());
                    model.extend(some);
                }
                Step::Take => prop_assert_eq!(stack.try_pop(), model.pop()),
                Step::TakeSome(n) => {
                    let expected: Vec<_> = (0..n).map_while(|_| model.pop()).collect();
                    prop_assert_eq!(stack.try_pop_range(n), expected);
                }
                Step::Peek => prop_assert_eq!(stack.try_peek(), model.last().copied()),
                Step::Clear => {
                    stack.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(stack.len(), model.len());
            let from_top: Vec<_> = model.iter().rev().copied().collect();
            prop_assert_eq!(stack.to_vec(), from_top);
        }
        model.reverse();
        prop_assert_eq!(stack.into_vec(), model);
    }

    #[test]
    fn a_bag_holds_what_was_put_in_and_not_taken_out(steps in steps()) {
        let (mut bag, mut model) = (Bag::new(), Vec::<u8>::new());
        for step in steps {
            let mut take = || match bag.try_take() {
                None => model.is_empty(),
                Some(n) => {
                    let place = model.iter().position(|it| *it == n);
                    place.map(|it| model.swap_remove(it)).is_some()
                }
            };
            match step {
                Step::Take => prop_assert!(take()),
                Step::TakeSome(n) => prop_assert!((0..n).all(|_| take())),
                Step::Add(n) => {
                    bag.add(n);
                    model.push(n);
                }
                Step::AddSome(some) => {
                    bag.extend(some.clone());
                    model.extend(some);
                }
                Step::Peek => match bag.try_peek() {
                    None => prop_assert!(model.is_empty()),
                    Some(n) => prop_assert!(model.contains(&n)),
                },
                Step::Clear => {
                    bag.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(bag.len(), model.len());
            prop_assert_eq!(sorted(bag.to_vec()), sorted(model.clone()));
        }
        prop_assert_eq!(sorted(bag.into_vec()), sorted(model));
    }

    #[test]
    fn a_dictionary_is_a_hash_map(changes in changes()) {
        let (dictionary, mut model) = (Dictionary::new(), HashMap::new());
        for change in changes {
            match change {
                Change::TryAdd(k, v) => {
                    let added = dictionary.try_add(k, v);
                    prop_assert_eq!(added.is_ok(), !model.contains_key(&k));
                    if let Err(back) = added {
                        prop_assert_eq!(back, (k, v));
                    }
                    model.entry(k).or_insert(v);
                }
                Change::Insert(k, v) => {
                    prop_assert_eq!(dictionary.insert(k, v), model.insert(k, v).is_some());
                }
                Change::GetOrAdd(k, v) => {
                    let expected = *model.entry(k).or_insert(v);
                    prop_assert_eq!(dictionary.get_or_add(k, |_| v), expected);
                }
                Change::AddOrUpdate(k, v) => {
                    let expected = model.get(&k).map_or(v, |old| old.wrapping_add(v));
                    let got = dictionary.add_or_update(k, |_| v, |_, old| old.wrapping_add(v));
                    prop_assert_eq!(got, expected);
                    model.insert(k, expected);
                }
                Change::TryUpdate(k, new, expected) => {
                    let fits = model.get(&k) == Some(&expected);
                    prop_assert_eq!(dictionary.try_update(&k, new, &expected), fits);
                    if fits {
                        model.insert(k, new);
                    }
                }
                Change::TryRemove(k) => {
                    prop_assert_eq!(dictionary.try_remove(&k), model.remove(&k));
                }
                Change::Look(k) => {
                    prop_assert_eq!(dictionary.try_get(&k), model.get(&k).copied());
                    prop_assert_eq!(dictionary.contains_key(&k), model.contains_key(&k));
                }
                Change::Clear => {
                    dictionary.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(dictionary.len(), model.len());
        }
        let entries: HashMap<_, _> = dictionary.iter().collect();
        prop_assert_eq!(&entries, &model);
        prop_assert_eq!(sorted(dictionary.keys()), sorted(model.keys().copied().collect()));
        prop_assert_eq!(sorted(dictionary.values()), sorted(model.values().copied().collect()));
        let again: Dictionary<_, _> = model.clone().into_iter().collect();
        prop_assert_eq!((&again).into_iter().collect::<HashMap<_, _>>(), model);
    }

    #[test]
    fn a_blocking_collection_is_a_bounded_vec_deque(capacity in 1usize..8, steps in steps()) {
        let line = BlockingCollection::bounded(capacity);
        let mut model = VecDeque::new();
        let mut complete = false;
        for step in steps {
            let some = match step {
                Step::Add(n) => vec![n],
                Step::AddSome(some) => some,
                Step::Take | Step::Peek => {
                    prop_assert_eq!(line.try_take(), model.pop_front());
                    continue;
                }
                Step::TakeSome(n) => {
                    for _ in 0..n {
                        prop_assert_eq!(line.try_take(), model.pop_front());
                    }
                    continue;
                }
                Step::Clear => {
                    complete = true;
                    line.complete_adding();
                    continue;
                }
            };
            for n in some {
                let expected = match model.len() {
                    _ if complete => Err(AddErrorKind::Completed),
                    len if len == capacity => Err(AddErrorKind::Full),
                    _ => {
                        model.push_back(n);
                        Ok(())
                    }
                };
                prop_assert_eq!(line.try_add(n).map_err(|it| it.kind()), expected);
            }
            prop_assert_eq!(line.len(), model.len());
            prop_assert_eq!(line.is_completed(), complete && model.is_empty());
        }
        line.complete_adding();
        prop_assert_eq!(line.consuming_iter().collect::<VecDeque<_>>(), model);
        prop_assert_eq!(line.take(), Err(TakeError::Completed));
    }
}

#[cfg(feature = "serde")]
proptest! {
    #[test]
    fn data_comes_back_as_it_went(values in prop::collection::vec(any::<u8>(), 0..40)) {
        fn again<C: serde::Serialize, D: serde::de::DeserializeOwned>(collection: &C) -> D {
            postcard::from_bytes(&postcard::to_stdvec(collection).unwrap()).unwrap()
        }
        let queue: Queue<_> = values.iter().copied().collect();
        prop_assert_eq!(again::<_, Vec<u8>>(&queue), values.clone());
        let stack: Stack<_> = values.iter().copied().collect();
        let back: Stack<u8> = again::<_, Vec<u8>>(&stack).into_iter().collect();
        prop_assert_eq!(back.into_vec(), stack.into_vec());
        let bag: Bag<_> = values.iter().copied().collect();
        prop_assert_eq!(sorted(again::<_, Vec<u8>>(&bag)), sorted(values.clone()));
        let pairs = values.iter().map(|n| (n.to_string(), *n));
        let dictionary: Dictionary<_, _> = pairs.clone().collect();
        let back: HashMap<String, u8> = again(&dictionary);
        prop_assert_eq!(back, pairs.collect::<HashMap<_, _>>());
    }
}
