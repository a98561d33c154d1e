//! A case: one whole call, written down. A case that fails is printed as JSON, and run again by
//! `WHOLE_CALLS_CASE='..' cargo test --test whole_calls replay`.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub place: Place,
    pub form: Form,
    pub input: Input,
    /// One for each item.
    pub acts: Vec<Act>,
    /// Items emit, where they answer one value each otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub emits: bool,
    pub throttle: Throttling,
    /// After so many results the throttle of the call is set to this.
    #[serde(default, skip_serializing_if = "is_default")]
    pub changes: Vec<(usize, usize)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub ordered: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub buffer: Option<usize>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout: Option<Limit>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub deadline: Option<Limit>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Option<Again>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub halt: Option<Enough>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub report: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub journal: bool,
    /// The body of this item stops the call.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stop_inside: Option<usize>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub broken: Option<Broken>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    Threads,
    Sequential,
    Rayon,
    RayonPool,
    Pool,
    Process,
    ProcessPool,
    PlanThreads,
    PlanSequential,
    PlanRayon,
    PlanProcess,
}

impl Place {
    pub fn is_process(self) -> bool {
        matches!(self, Self::Process | Self::ProcessPool | Self::PlanProcess)
    }

    /// Bodies run on whatever thread reads the results.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::Sequential | Self::PlanSequential)
    }

    pub fn is_plan(self) -> bool {
        matches!(
            self,
            Self::PlanThreads | Self::PlanSequential | Self::PlanRayon | Self::PlanProcess
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    Stream,
    /// `within = s`
    Scoped,
    /// `&items`: all items run before the call answers.
    Borrowed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    Range,
    Vec,
    Slice,
    /// An iterator that says how many there are.
    Lazy,
    /// One that says what it likes: `(a share of it, nothing, or more than there are)`.
    Vague(Hint),
    /// Pauses before every fourth item, this many tenths of a millisecond.
    Slow(u8),
    /// The results of another call.
    Results,
    /// The results of another call, ordered, which themselves come from a call.
    Stages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hint {
    Nothing,
    Half,
    More,
    Endless,
}

/// What is left out is plain: so a case that is printed is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    #[serde(default, skip_serializing_if = "is_default")]
    pub first: Deed,
    /// At further tries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub later: Deed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    #[serde(default, skip_serializing_if = "is_default")]
    pub work: Work,
    /// How many outputs, where items emit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outputs: u16,
    #[serde(default, skip_serializing_if = "is_default")]
    pub way: Way,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    #[default]
    None,
    Yield,
    Spin(u16),
    /// Tenths of a millisecond.
    Sleep(u8),
    /// Until it is told to stop.
    Hang,
    Nest(Nest),
}

/// What runs inside of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nest {
    Call,
    Ordered,
    Borrowed,
    Sequential,
    /// A call on the pool of the program, on which the item may run itself.
    OnPool,
    /// A call whose items make such a call.
    OnPoolDeeper,
    ThreadJob,
    /// A thread job that makes a call.
    JobOfCall,
    Runspace,
    InvokeOnPool,
    /// A call with the throttle that the case has, if that is shared.
    SharedThrottle,
    ProcessJob,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    #[default]
    Value,
    Err,
    Panic,
    /// The end of its process.
    Abort,
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Throttling {
    Default,
    Fixed(usize),
    Shared(usize),
    Named(usize),
    Auto(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Limit {
    /// Milliseconds, which may run out.
    Short(u16),
    /// Longer than any case.
    Long,
    Max,
    /// So many times the median, and never less than a minute.
    Median,
}

impl Limit {
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Short(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    pub times: u32,
    pub pause: Pause,
    /// There is a `retry_if`.
    pub asks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    None,
    /// Tenths of a millisecond.
    Every(u8),
    Growing,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enough {
    pub now: bool,
    pub of: Ends,
    pub amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    Fail,
    Success,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    Count(u64),
    Percent(u8),
}

/// User code that panics, beside the bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Broken {
    /// `Iterator::next`, where this item would have come from.
    Next(usize),
    SizeHint,
    InputDrop,
    ItemDrop(usize),
    ItemClone(usize),
    ItemSerialize(usize),
    ItemDeserialize(usize),
    ValueDrop(usize),
    ValueSerialize(usize),
    ValueDeserialize(usize),
    CaptureDrop,
    CaptureSerialize,
    CaptureDeserialize,
    StateMake,
    StateDrop,
    /// That of the payload of every panic.
    PayloadDrop,
    /// `retry_if`, of this item.
    Predicate(usize),
}

impl Broken {
    /// The item that is concerned, if it is one.
    pub fn index(self) -> Option<usize> {
        match self {
            Self::Next(it)
            | Self::ItemDrop(it)
            | Self::ItemClone(it)
            | Self::ItemSerialize(it)
            | Self::ItemDeserialize(it)
            | Self::ValueDrop(it)
            | Self::ValueSerialize(it)
            | Self::ValueDeserialize(it)
            | Self::Predicate(it) => Some(it),
            _ => None,
        }
    }

    /// No item may come to its end because of it.
    pub fn ends_call(self) -> bool {
        matches!(
            self,
            Self::SizeHint
                | Self::StateMake
                | Self::StateDrop
                | Self::CaptureSerialize
                | Self::CaptureDeserialize
        )
    }
}

/// What becomes of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// `next`, and failures that are raised are caught.
    Read,
    /// `fold`, up to the first failure that is raised.
    ForEach,
    Outcomes,
    Wait,
    /// A statement.
    Bare,
    /// Untouched, as outcomes.
    BareOutcomes,
    DropAfter(usize),
    DropOutcomesAfter(usize),
    /// `Results::stop`
    StopAfter(usize),
    /// By the token; then the rest is read.
    TokenAfter(usize),
    /// By another thread, after so many tenths of a millisecond; the outcomes are read.
    TokenOutside(u8),
    UnwindAfter(usize),
    /// The closure of `for_each` panics at this result.
    FoldUnwinds(usize),
    DropElsewhereAfter(usize),
    /// And then the token.
    ForgetAfter(usize),
    JobIter,
    JobWait,
    JobStop(u8),
    JobDrop,
    JobRemoveForce(u8),
}

impl End {
    pub fn is_job(self) -> bool {
        use End::{JobDrop, JobIter, JobRemoveForce, JobStop, JobWait};
        matches!(
            self,
            JobIter | JobWait | JobStop(_) | JobDrop | JobRemoveForce(_)
        )
    }

    /// The call may be stopped before every item has run.
    pub fn stops(self) -> bool {
        use End::{Bare, BareOutcomes, JobDrop, JobIter, JobWait, Outcomes, Read, Wait};
        !matches!(
            self,
            Read | Outcomes | Wait | Bare | BareOutcomes | JobIter | JobWait | JobDrop
        )
    }
}

fn work() -> impl Strategy<Value = Work> {
    let nest = prop_oneof![
        4 => Just(Nest::Call),
        2 => Just(Nest::Ordered),
        2 => Just(Nest::Borrowed),
        2 => Just(Nest::Sequential),
        2 => Just(Nest::OnPool),
        1 => Just(Nest::OnPoolDeeper),
        3 => Just(Nest::ThreadJob),
        2 => Just(Nest::JobOfCall),
        2 => Just(Nest::Runspace),
        2 => Just(Nest::InvokeOnPool),
        2 => Just(Nest::SharedThrottle),
        1 => Just(Nest::ProcessJob),
    ];
    prop_oneof![
        60 => Just(Work::None),
        8 => Just(Work::Yield),
        8 => (0..500_u16).prop_map(Work::Spin),
        6 => (0..8_u8).prop_map(Work::Sleep),
        3 => Just(Work::Hang),
        2 => nest.prop_map(Work::Nest),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let way = prop_oneof![
        12 => Just(Way::Value),
        2 => Just(Way::Err),
        2 => Just(Way::Panic),
        1 => Just(Way::Abort),
        1 => Just(Way::Exit),
    ];
    let outputs = prop_oneof![6 => 0..4_u16, 1 => 0..60_u16, 1 => 250..270_u16];
    (work(), outputs, way).prop_map(|(work, outputs, way)| Deed { work, outputs, way })
}

fn act() -> impl Strategy<Value = Act> {
    // Most cases need items of which most are plain.
    let plain = Deed {
        work: Work::None,
        outputs: 1,
        way: Way::Value,
    };
    prop_oneof![
        2 => Just(Act { first: plain, later: plain }),
        3 => (deed(), deed()).prop_map(|(first, later)| Act { first, later }),
    ]
}

fn place(processes: u32) -> impl Strategy<Value = Place> {
    let places = [
        (30, Place::Threads),
        (10, Place::Sequential),
        (10, Place::Rayon),
        (5, Place::RayonPool),
        (14, Place::Pool),
        (6, Place::PlanThreads),
        (3, Place::PlanSequential),
        (3, Place::PlanRayon),
        (processes, Place::ProcessPool),
        (processes, Place::Process),
        (processes, Place::PlanProcess),
    ];
    let there = places.into_iter().filter(|it| it.0 > 0);
    proptest::strategy::Union::new_weighted(there.map(|(weight, it)| (weight, Just(it))).collect())
}

fn input() -> impl Strategy<Value = Input> {
    let hint = prop_oneof![
        Just(Hint::Nothing),
        Just(Hint::Half),
        Just(Hint::More),
        Just(Hint::Endless)
    ];
    prop_oneof![
        3 => Just(Input::Range),
        3 => Just(Input::Vec),
        2 => Just(Input::Slice),
        3 => Just(Input::Lazy),
        2 => hint.prop_map(Input::Vague),
        1 => (1..6_u8).prop_map(Input::Slow),
        1 => Just(Input::Results),
        1 => Just(Input::Stages),
    ]
}

fn throttle() -> impl Strategy<Value = Throttling> {
    let few = prop_oneof![12 => 1..5_usize, 3 => 5..9_usize, 1 => Just(64), 1 => Just(usize::MAX)];
    prop_oneof![
        2 => Just(Throttling::Default),
        8 => few.prop_map(Throttling::Fixed),
        1 => (1..4_usize).prop_map(Throttling::Shared),
        1 => (1..4_usize).prop_map(Throttling::Named),
        1 => (1..5_usize).prop_map(Throttling::Auto),
    ]
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        3 => (5..40_u16).prop_map(Limit::Short),
        1 => Just(Limit::Short(0)),
        3 => Just(Limit::Long),
        1 => Just(Limit::Max),
    ]
}

fn again() -> impl Strategy<Value = Again> {
    let pause = prop_oneof![
        4 => Just(Pause::None),
        2 => (1..5_u8).prop_map(Pause::Every),
        1 => Just(Pause::Growing),
    ];
    let times = prop_oneof![8 => 0..4_u32, 1 => Just(u32::MAX)];
    (times, pause, any::<bool>()).prop_map(|(times, pause, asks)| Again { times, pause, asks })
}

fn enough() -> impl Strategy<Value = Enough> {
    let of = prop_oneof![Just(Ends::Fail), Just(Ends::Success), Just(Ends::Done)];
    let amount = prop_oneof![
        3 => (1..6_u64).prop_map(Amount::Count),
        1 => (1..=100_u8).prop_map(Amount::Percent),
        1 => Just(Amount::Count(u64::MAX)),
    ];
    (any::<bool>(), of, amount).prop_map(|(now, of, amount)| Enough { now, of, amount })
}

fn broken() -> impl Strategy<Value = Broken> {
    let index = 0..24_usize;
    prop_oneof![
        index.clone().prop_map(Broken::Next),
        Just(Broken::SizeHint),
        Just(Broken::InputDrop),
        index.clone().prop_map(Broken::ItemDrop),
        index.clone().prop_map(Broken::ItemClone),
        index.clone().prop_map(Broken::ItemSerialize),
        index.clone().prop_map(Broken::ItemDeserialize),
        index.clone().prop_map(Broken::ValueDrop),
        index.clone().prop_map(Broken::ValueSerialize),
        index.clone().prop_map(Broken::ValueDeserialize),
        Just(Broken::CaptureDrop),
        Just(Broken::CaptureSerialize),
        Just(Broken::CaptureDeserialize),
        Just(Broken::StateMake),
        Just(Broken::StateDrop),
        Just(Broken::PayloadDrop),
        index.prop_map(Broken::Predicate),
    ]
}

fn end() -> impl Strategy<Value = End> {
    let few = 0..20_usize;
    prop_oneof![
        6 => Just(End::Read),
        3 => Just(End::ForEach),
        14 => Just(End::Outcomes),
        2 => Just(End::Wait),
        2 => Just(End::Bare),
        1 => Just(End::BareOutcomes),
        3 => few.clone().prop_map(End::DropAfter),
        2 => few.clone().prop_map(End::DropOutcomesAfter),
        2 => few.clone().prop_map(End::StopAfter),
        3 => few.clone().prop_map(End::TokenAfter),
        3 => (0..30_u8).prop_map(End::TokenOutside),
        2 => few.clone().prop_map(End::UnwindAfter),
        1 => few.clone().prop_map(End::FoldUnwinds),
        2 => few.clone().prop_map(End::DropElsewhereAfter),
        1 => few.prop_map(End::ForgetAfter),
        1 => Just(End::JobIter),
        1 => Just(End::JobWait),
        1 => (0..30_u8).prop_map(End::JobStop),
        1 => Just(End::JobDrop),
        1 => (0..30_u8).prop_map(End::JobRemoveForce),
    ]
}

/// Most options are left out of most cases.
fn rarely<S: Strategy>(one_in: u32, strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    prop_oneof![one_in - 1 => Just(None), 1 => strategy.prop_map(Some)]
}

/// `processes`: the weight of each way to processes, where threads have 30.
pub fn any_case(processes: u32) -> impl Strategy<Value = Case> {
    let form =
        prop_oneof![6 => Just(Form::Stream), 1 => Just(Form::Scoped), 1 => Just(Form::Borrowed)];
    let acts = prop_oneof![
        8 => proptest::collection::vec(act(), 0..24),
        1 => proptest::collection::vec(act(), 0..120),
    ];
    let buffer = prop_oneof![
        4 => Just(None),
        6 => (0..6_usize).prop_map(Some),
        1 => (6..40_usize).prop_map(Some),
        1 => Just(Some(usize::MAX)),
    ];
    let size = prop_oneof![8 => 1..6_usize, 1 => Just(200_usize)];
    let changes = prop_oneof![
        4 => Just(Vec::new()),
        1 => proptest::collection::vec((0..12_usize, size), 1..4),
    ];
    let head = (place(processes), form, input(), acts, any::<bool>());
    let flow = (throttle(), changes, any::<bool>(), buffer);
    let limits = (
        rarely(4, prop_oneof![9 => limit(), 1 => Just(Limit::Median)]),
        rarely(6, limit()),
        rarely(3, again()),
        rarely(5, enough()),
    );
    let rest = (
        any::<bool>(),
        any::<bool>(),
        rarely(20, Just(())),
        rarely(20, 0..20_usize),
        rarely(8, broken()),
        end(),
    );
    (head, flow, limits, rest).prop_map(|(head, flow, limits, rest)| {
        let (place, form, input, acts, emits) = head;
        let (throttle, changes, ordered, buffer) = flow;
        let (timeout, deadline, retry, halt) = limits;
        let (report, state, journal, stop_inside, broken, end) = rest;
        let case = Case {
            place,
            form,
            input,
            acts,
            emits,
            throttle,
            changes,
            ordered,
            buffer,
            timeout,
            deadline,
            retry,
            halt,
            report,
            state,
            journal: journal.is_some(),
            stop_inside,
            broken,
            end,
        };
        case.fit()
    })
}

impl Case {
    /// The same, without what cannot be: options that a back end has not got, bodies that nothing would end.
    #[must_use]
    pub fn fit(mut self) -> Self {
        let process = self.place.is_process();
        if process || self.place.is_plan() {
            self.form = Form::Stream;
        }
        if self.form == Form::Borrowed {
            self.changes.clear();
            if self.input != Input::Range {
                self.input = Input::Slice;
            }
        } else if self.input == Input::Slice && self.form != Form::Scoped {
            self.input = Input::Vec;
        }
        if self.place.is_sequential() {
            self.changes.clear();
        }
        if process {
            self.stop_inside = None;
        }
        // Nothing else ends a body that waits to be told.
        let ends = [self.timeout, self.deadline]
            .into_iter()
            .flatten()
            .any(Limit::may_pass);
        let ever = self.retry.is_some_and(|it| it.times > 5);
        for act in &mut self.acts {
            for deed in [&mut act.first, &mut act.later] {
                if deed.work == Work::Hang && !ends {
                    deed.work = Work::Sleep(2);
                }
                if !process && matches!(deed.way, Way::Abort | Way::Exit) {
                    deed.way = Way::Panic;
                }
                if self.emits && deed.way == Way::Err {
                    deed.way = Way::Value;
                }
                if !self.emits {
                    deed.outputs = 0;
                }
            }
            // A try without end has to come to a good one.
            if ever {
                act.later.way = Way::Value;
                if act.later.work == Work::Hang {
                    act.later.work = Work::None;
                }
            }
        }
        if ever && self.timeout.is_some_and(Limit::may_pass) {
            self.timeout = Some(Limit::Long);
            return self.fit();
        }
        // Of bodies, one hundred milliseconds a case at most hang.
        if let Some(Limit::Short(limit)) = self.timeout {
            let mut left = 100 / limit.max(1);
            for act in &mut self.acts {
                for deed in [&mut act.first, &mut act.later] {
                    if deed.work == Work::Hang {
                        if left == 0 {
                            deed.work = Work::None;
                        }
                        left = left.saturating_sub(1);
                    }
                }
            }
        }
        // The file of a call that is forgotten is never let go of.
        let forgets = matches!(self.end, End::ForgetAfter(_));
        // Processes of a job that was removed by force may still run, and write down what they do, when the call is made again.
        let runs_on = process && matches!(self.end, End::JobRemoveForce(_));
        if self.emits || forgets || runs_on || !cfg!(feature = "journal") {
            self.journal = false;
        }
        let total = self.acts.len();
        // Percentages of all items need an input that counts them.
        let counts = matches!(
            self.input,
            Input::Range | Input::Vec | Input::Slice | Input::Lazy | Input::Slow(_)
        );
        if let Some(halt) = &mut self.halt
            && halt.of == Ends::Done
            && !counts
            && let Amount::Percent(_) = halt.amount
        {
            halt.amount = Amount::Count(3);
        }
        // What is broken has to be there, and an item is not to be tried for ever.
        let for_ever = |it: &Broken| ever && it.index().is_some();
        let broken = self.broken.filter(|it| !for_ever(it)).filter(|it| {
            let lazy = matches!(self.input, Input::Lazy | Input::Vague(_) | Input::Slow(_));
            let items = self.input != Input::Range;
            match it {
                Broken::Next(index) => lazy && *index <= total,
                Broken::SizeHint | Broken::InputDrop => lazy,
                Broken::ItemDrop(_) => items && self.input != Input::Slice,
                // An item that has one try is not cloned.
                Broken::ItemClone(_) => {
                    let is_cloned = self.retry.is_some_and(|it| it.times > 0);
                    items && self.input != Input::Slice && is_cloned
                }
                Broken::ItemSerialize(_) | Broken::ItemDeserialize(_) => items && process,
                Broken::ValueSerialize(_)
                | Broken::ValueDeserialize(_)
                | Broken::CaptureSerialize
                | Broken::CaptureDeserialize => process,
                Broken::StateMake | Broken::StateDrop => self.state,
                Broken::Predicate(_) => self.retry.is_some_and(|it| it.asks) && !self.emits,
                Broken::PayloadDrop => !process,
                Broken::ValueDrop(_) | Broken::CaptureDrop => true,
            }
        });
        self.broken = broken;
        self
    }

    pub fn total(&self) -> usize {
        self.acts.len()
    }

    /// How many items the input gives.
    pub fn given(&self) -> usize {
        match self.broken {
            Some(Broken::Next(index)) => index.min(self.total()),
            _ => self.total(),
        }
    }

    pub fn deed(&self, index: usize, attempt: u32) -> Deed {
        let act = self.acts[index];
        match attempt {
            0 | 1 => act.first,
            _ => act.later,
        }
    }
}
