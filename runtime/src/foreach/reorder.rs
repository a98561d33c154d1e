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
