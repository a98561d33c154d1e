//! Input order out of completion order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::backlog::Backlog;
use crate::error::{ItemError, drop_quietly};

/// Holds what came early. No larger than what is taken and not consumed, because the feeder stops
/// at that.
pub(crate) struct Reorder<R> {
    /// The item whose turn it is.
    head: u64,
    /// The item `head + n` in place n.
    places: VecDeque<Place<R>>,
}

/// An output that counts against its worker's quota until it is handed out.
pub(crate) struct Output<R> {
    pub(crate) value: R,
    pub(crate) ahead: Arc<Backlog>,
}

enum Place<R> {
    Waiting,
    Value(R),
    /// Outputs of an item that emits; the second is true when there are no more.
    Outputs(VecDeque<Output<R>>, bool),
    Failed(VecDeque<Output<R>>, ItemError),
}

impl<R> Place<R> {
    fn has_ended(&self) -> bool {
        match self {
            Self::Waiting | Self::Outputs(_, false) => false,
            Self::Value(_) | Self::Outputs(_, true) | Self::Failed(..) => true,
        }
    }
}

impl<R> Reorder<R> {
    pub(crate) fn new() -> Self {
        Self {
            head: 0,
            places: VecDeque::new(),
        }
    }

    /// Where an item is kept. `None` if it has had its turn, or its end.
    ///
    /// The lanes see to it that nothing comes after an end. What would all the same is dropped: it belongs nowhere.
    fn place(&mut self, index: u64) -> Option<&mut Place<R>> {
        let at = index.checked_sub(self.head);
        let at = at.map(|at| usize::try_from(at).expect("a window fits into memory"));
        debug_assert!(
            at.is_some(),
            "item {index} comes after its turn; it is that of item {}",
            self.head
        );
        let at = at?;
        while self.places.len() <= at {
            self.places.push_back(Place::Waiting);
        }
        let place = &mut self.places[at];
        debug_assert!(
            !place.has_ended(),
            "something of item {index} comes after its end"
        );
        (!place.has_ended()).then_some(place)
    }

    /// Takes a value in. Gives it back if the item has ended before.
    #[must_use = "what is given back is to be dropped with care"]
    pub(crate) fn value(&mut self, index: u64, value: R) -> Option<R> {
        let Some(place) = self.place(index) else {
            return Some(value);
        };
        debug_assert!(matches!(place, Place::Waiting), "a value after outputs");
        *place = Place::Value(value);
        None
    }

    /// Takes an output in. Gives it back if the item has ended before.
    #[must_use = "what is given back counts against its worker's quota"]
    pub(crate) fn output(&mut self, index: u64, output: Output<R>) -> Option<Output<R>> {
        match self.place(index) {
            None | Some(Place::Value(_) | Place::Failed(..)) => return Some(output),
            Some(Place::Outputs(outputs, _)) => outputs.push_back(output),
            Some(place) => *place = Place::Outputs(VecDeque::from([output]), false),
        }
        None
    }

    pub(crate) fn ended(&mut self, index: u64) {
        match self.place(index) {
            None | Some(Place::Value(_) | Place::Failed(..)) => {}
            Some(Place::Outputs(_, ended)) => *ended = true,
            Some(place) => *place = Place::Outputs(VecDeque::new(), true),
        }
    }

    /// Takes a failure in. Gives it back if the item has ended before.
    #[must_use = "what is given back is to be dropped with care"]
    pub(crate) fn failed(&mut self, index: u64, error: ItemError) -> Option<ItemError> {
        let Some(place) = self.place(index) else {
            return Some(error);
        };
        let outputs = match std::mem::replace(place, Place::Waiting) {
            Place::Outputs(outputs, _) => outputs,
            _ => VecDeque::new(),
        };
        *place = Place::Failed(outputs, error);
        None
    }

    /// The item whose turn it is.
    #[inline]
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Says that the item whose turn it is has had it, nothing of it having been kept here.
    #[inline]
    pub(crate) fn pass(&mut self) {
        let kept = self.places.pop_front();
        debug_assert!(matches!(kept, None | Some(Place::Waiting)));
        self.head += 1;
    }

    /// The same, for `count` items that follow each other.
    pub(crate) fn pass_all(&mut self, count: usize) {
        let kept = self.places.drain(..count.min(self.places.len()));
        debug_assert!(kept.into_iter().all(|it| matches!(it, Place::Waiting)));
        self.head += count as u64;
    }

    /// What is next in order, if it is here.
    pub(crate) fn next(&mut self) -> Option<Turn<R>> {
        match self.places.front_mut()? {
            Place::Waiting => None,
            Place::Value(_) => match self.advance() {
                Place::Value(value) => Some(Turn::Value(value)),
                _ => unreachable!("the place was looked at"),
            },
            Place::Outputs(outputs, ended) => match outputs.pop_front() {
                Some(output) => Some(Turn::Output(output)),
                None if *ended => {
                    self.advance();
                    Some(Turn::Ended)
                }
                None => None,
            },
            Place::Failed(outputs, _) => match outputs.pop_front() {
                Some(output) => Some(Turn::Output(output)),
                None => match self.advance() {
                    Place::Failed(_, error) => Some(Turn::Failed(error)),
                    _ => unreachable!("the place was looked at"),
                },
            },
        }
    }

    fn advance(&mut self) -> Place<R> {
        self.head += 1;
        self.places.pop_front().expect("a front place")
    }
}

/// One by one: of two destructors that panic in one piece of glue, the second would end the process.
impl<R> Drop for Reorder<R> {
    fn drop(&mut self) {
        for place in self.places.drain(..) {
            match place {
                Place::Outputs(outputs, _) | Place::Failed(outputs, _) => {
                    outputs.into_iter().for_each(drop_quietly);
                }
                Place::Value(value) => drop_quietly(value),
                Place::Waiting => {}
            }
        }
    }
}

/// What the order says is next.
pub(crate) enum Turn<R> {
    Value(R),
    Output(Output<R>),
    Ended,
    Failed(ItemError),
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{CallSite, Cause};

    fn error(index: u64) -> ItemError {
        let site = CallSite {
            name: None,
            location: std::panic::Location::caller(),
        };
        ItemError::new(Some(index), Cause::Stopped, site)
    }

    /// What an item has: a value, or so many outputs and an end, which may be a failure.
    #[derive(Clone, Copy, Debug)]
    enum Kind {
        Value,
        Ended(u8),
        Failed(u8),
    }

    /// What came out, for an item and a number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Out {
        Value(u64),
        Output(u64, u8),
        Ended(u64),
        Failed(u64),
    }

    fn expected(kinds: &[Kind]) -> Vec<Out> {
        let of_item = |(index, kind): (usize, &Kind)| {
            let index = index as u64;
            let (count, end) = match *kind {
                Kind::Value => (0, Out::Value(index)),
                Kind::Ended(count) => (count, Out::Ended(index)),
                Kind::Failed(count) => (count, Out::Failed(index)),
            };
            let outputs = (0..count).map(move |n| Out::Output(index, n));
            outputs.chain([end])
        };
        kinds.iter().enumerate().flat_map(of_item).collect()
    }

    fn drain(order: &mut Reorder<Out>, got: &mut Vec<Out>) {
        loop {
            let head = order.head();
            got.push(match order.next() {
                None => return,
                Some(Turn::Value(value)) => value,
                Some(Turn::Output(output)) => output.value,
                Some(Turn::Ended) => Out::Ended(head),
                Some(Turn::Failed(error)) => Out::Failed(error.index().unwrap()),
            });
        }
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Value),
            (0..5_u8).prop_map(Kind::Ended),
            (0..5_u8).prop_map(Kind::Failed),
        ]
    }

    proptest! {
        /// However the items come among each other, and whenever it is looked: all comes out, in its order.
        #[test]
        fn all_comes_out_in_the_order_of_the_input(
            kinds in prop::collection::vec(kind(), 1..20),
            choices in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 200),
        ) {
            let all = expected(&kinds);
            let item = |out: &Out| match *out {
                Out::Value(index) | Out::Output(index, _) | Out::Ended(index) | Out::Failed(index) => index,
            };
            let mut left: Vec<VecDeque<Out>> = vec![VecDeque::new(); kinds.len()];
            all.iter().for_each(|out| left[usize::try_from(item(out)).unwrap()].push_back(*out));
            let (mut order, mut got) = (Reorder::new(), Vec::new());
            let ahead = Arc::<Backlog>::default();
            let mut choices = choices.into_iter();
            loop {
                left.retain(|it| !it.is_empty());
                if left.is_empty() {
                    break;
                }
                let (at, looks) = choices.next().unwrap();
                let at = at.index(left.len());
                let out = left[at].pop_front().unwrap();
                match out {
                    Out::Value(index) => prop_assert!(order.value(index, out).is_none()),
                    Out::Output(index, _) => {
                        let output = Output { value: out, ahead: Arc::clone(&ahead) };
                        prop_assert!(order.output(index, output).is_none());
                    }
                    Out::Ended(index) => order.ended(index),
                    Out::Failed(index) => prop_assert!(order.failed(index, error(index)).is_none()),
                }
                if looks {
                    drain(&mut order, &mut got);
                }
            }
            drain(&mut order, &mut got);
            prop_assert_eq!(got, all);
            prop_assert!(order.next().is_none());
        }
    }

    /// What the lanes never do: in a build with assertions it is told, in others it is given back, and the rest
    /// is as it was.
    #[test]
    fn what_comes_after_its_end_is_given_back() {
        let late = |index: u64, ends: bool| {
            std::panic::catch_unwind(|| {
                let mut order = Reorder::new();
                if ends {
                    order.ended(0);
                    assert!(matches!(order.next(), Some(Turn::Ended)));
                }
                assert!(order.failed(1, error(1)).is_none());
                let ahead = Arc::<Backlog>::default();
                let output = Output { value: 7, ahead };
                let back = order.output(index, output);
                (
                    back.map(|it| it.value),
                    order.failed(index, error(index)).is_some(),
                )
            })
        };
        for (index, ends) in [(0, true), (1, true), (1, false)] {
            let told = late(index, ends);
            match cfg!(debug_assertions) {
                true => assert!(told.is_err()),
                false => assert_eq!(told.unwrap(), (Some(7), true)),
            }
        }
    }
}
