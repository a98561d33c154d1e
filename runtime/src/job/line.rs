//! Who stands where in a queue: the jobs that wait, those that have a place, and whose place a job
//! runs in that was let in early.
//!
//! Every started job is in one of three ways to have a place:
//!
//! * it is *active*: it has a place and uses it;
//! * it is *parked*: it waits for another job and has its place still;
//! * it has *lent* its place to a job it waits for, which is active (or parked, or has lent in turn).
//!
//! Jobs are let in from the front while active and parked ones together leave a place free. A
//! parked job's place is free for no one but a job that it waits for, and only while fewer than the
//! throttle are active. When a borrower ends, the place goes home to its lender.

use std::collections::{BTreeMap, HashMap, HashSet};

/// The state of a queue, over whatever stands for a job.
pub(super) struct Line<J> {
    throttle: usize,
    /// By number: numbers are given in the order of the starts, so the first is the one to go next.
    waiting: BTreeMap<u64, J>,
    active: HashSet<u64>,
    parked: HashSet<u64>,
    /// Borrower to lender.
    loans: HashMap<u64, u64>,
}

/// What a job's leaving makes possible.
#[derive(Debug, PartialEq)]
pub(super) enum Left<J> {
    /// The place goes to this job.
    Next(J),
    /// Lenders may find a place to lend now.
    Lend,
    Nothing,
}

impl<J> Line<J> {
    pub(super) fn new(throttle: usize) -> Self {
        Self {
            throttle,
            waiting: BTreeMap::new(),
            active: HashSet::new(),
            parked: HashSet::new(),
            loans: HashMap::new(),
        }
    }

    pub(super) fn throttle(&self) -> usize {
        self.throttle
    }

    pub(super) fn set_throttle(&mut self, throttle: usize) {
        self.throttle = throttle;
    }

    pub(super) fn active(&self) -> usize {
        self.active.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_waiting(&self, id: u64) -> bool {
        self.waiting.contains_key(&id)
    }

    /// A job arrives; answered if it starts at once.
    pub(super) fn arrive(&mut self, id: u64, job: J) -> Option<J> {
        self.waiting.insert(id, job);
        self.next()
    }

    /// Lets the first waiting job in if there is a place.
    pub(super) fn next(&mut self) -> Option<J> {
        if self.active.len() + self.parked.len() >= self.throttle {
            return None;
        }
        let (id, job) = self.waiting.pop_first()?;
        self.active.insert(id);
        Some(job)
    }

    /// Takes a waiting job out of the line.
    pub(super) fn cancel(&mut self, id: u64) -> Option<J> {
        self.waiting.remove(&id)
    }

    /// A job that was let in cannot begin. It goes back to its place in the line if another is active, which lets it in
    /// when it leaves, or when it waits for it. A place that was lent to it goes home.
    pub(super) fn put_back(&mut self, id: u64, job: J) -> bool {
        if self.active.len() < 2 || !self.active.remove(&id) {
            return false;
        }
        if let Some(lender) = self.loans.remove(&id) {
            self.parked.insert(lender);
        }
        self.waiting.insert(id, job);
        true
    }

    /// A job starts to wait for others.
    pub(super) fn park(&mut self, id: u64) {
        if self.active.remove(&id) {
            self.parked.insert(id);
        }
    }

    /// A job waits no more. If its place is lent still, the borrower keeps it and the job goes on
    /// beside it, one too many until one of the two ends or waits.
    pub(super) fn unpark(&mut self, id: u64) {
        if self.parked.remove(&id) {
            self.active.insert(id);
        } else if let Some(borrower) = self.borrower(id) {
            self.loans.remove(&borrower);
            self.active.insert(id);
        }
    }

    /// Whether this job has a place that it does not need now and another could use.
    pub(super) fn can_lend(&self, lender: u64) -> bool {
        !self.waiting.is_empty()
            && self.active.len() < self.throttle
            && self.parked.contains(&lender)
    }

    /// Lets a waiting job in at the place of one that waits for it.
    pub(super) fn lend(&mut self, lender: u64, id: u64) -> Option<J> {
        if !self.can_lend(lender) {
            return None;
        }
        let job = self.waiting.remove(&id)?;
        self.parked.remove(&lender);
        self.active.insert(id);
        self.loans.insert(id, lender);
        Some(job)
    }

    /// A job that was let in has ended.
    pub(super) fn leave(&mut self, id: u64) -> Left<J> {
        if !self.active.remove(&id) && !self.parked.remove(&id) {
            self.leave_on_loan(id);
            return Left::Nothing;
        }
        if let Some(lender) = self.loans.remove(&id) {
            self.parked.insert(lender);
            return Left::Lend;
        }
        match self.next() {
            Some(job) => Left::Next(job),
            None if self.waiting.is_empty() => Left::Nothing,
            None => Left::Lend,
        }
    }

    /// A job has ended while something that it left behind still waits in its name, so that its
    /// place is lent. The borrower has it from whoever the job had it from.
    fn leave_on_loan(&mut self, id: u64) {
        let lender = self.loans.remove(&id);
        let Some(borrower) = self.borrower(id) else {
            return;
        };
        match lender {
            Some(lender) => self.loans.insert(borrower, lender),
            None => self.loans.remove(&borrower),
        };
    }

    fn borrower(&self, lender: u64) -> Option<u64> {
        let mut loans = self.loans.iter();
        loans.find_map(|(borrower, it)| (*it == lender).then_some(*borrower))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn line(throttle: usize, jobs: u64) -> Line<u64> {
        let mut line = Line::new(throttle);
        for id in 1..=jobs {
            let starts = line.arrive(id, id);
            assert_eq!(starts.is_some(), id <= throttle as u64);
        }
        line
    }

    #[test]
    fn the_first_to_arrive_is_the_next_to_start() {
        let mut line = line(2, 5);
        assert_eq!(line.leave(2), Left::Next(3));
        assert_eq!(line.leave(3), Left::Next(4));
        assert_eq!(line.leave(1), Left::Next(5));
        assert_eq!(line.leave(5), Left::Nothing);
        assert_eq!((line.active(), line.waiting()), (1, 0));
    }

    #[test]
    fn a_job_without_a_thread_waits_for_one_that_runs() {
        let mut line = line(2, 3);
        assert!(line.put_back(2, 2));
        assert_eq!((line.active(), line.waiting()), (1, 2));
        assert!(!line.put_back(1, 1), "nobody would come for it");
        assert_eq!(line.leave(1), Left::Next(2), "it has not lost its turn");
    }

    #[test]
    fn a_borrower_without_a_thread_gives_the_place_home() {
        let mut line = line(2, 3);
        line.park(1);
        assert_eq!(line.lend(1, 3), Some(3));
        assert!(line.put_back(3, 3));
        assert!(line.can_lend(1));
        assert_eq!(line.leave(2), Left::Next(3));
    }

    #[test]
    fn a_lent_place_goes_home() {
        let mut line = line(1, 3);
        line.park(1);
        assert_eq!(line.lend(1, 3), Some(3));
        assert_eq!(line.active(), 1);
        assert_eq!(
            line.leave(3),
            Left::Lend,
            "2 is not let into the place of 1"
        );
        line.unpark(1);
        assert_eq!(line.active(), 1);
        assert_eq!(line.leave(1), Left::Next(2));
    }

    #[test]
    fn a_place_is_lent_once_and_only_by_a_job_that_waits() {
        let mut line = line(1, 3);
        assert_eq!(line.lend(1, 2), None);
        line.park(1);
        assert_eq!(line.lend(1, 2), Some(2));
        assert_eq!(line.lend(1, 3), None);
    }

    #[test]
    fn a_lender_that_goes_on_early_is_one_too_many_and_no_more() {
        let mut line = line(1, 4);
        line.park(1);
        assert_eq!(line.lend(1, 2), Some(2));
        line.unpark(1);
        assert_eq!(line.active(), 2);
        line.park(1);
        assert_eq!(line.lend(1, 3), None, "2 uses all there is");
        assert_eq!(line.leave(2), Left::Lend);
        assert_eq!(line.lend(1, 3), Some(3));
    }

    #[test]
    fn a_borrower_that_lends_passes_the_place_back_step_by_step() {
        let mut line = line(1, 3);
        line.park(1);
        line.lend(1, 2);
        line.park(2);
        line.lend(2, 3);
        assert_eq!(line.active(), 1);
        assert_eq!(line.leave(3), Left::Lend);
        line.unpark(2);
        assert_eq!(line.leave(2), Left::Lend);
        line.unpark(1);
        assert_eq!(line.leave(1), Left::Nothing);
        assert_eq!(line.active(), 0);
    }

    #[test]
    fn a_borrower_outlives_the_lender() {
        let mut line = line(1, 4);
        line.park(1);
        line.lend(1, 2);
        line.park(2);
        line.lend(2, 3);
        assert_eq!(line.leave(2), Left::Nothing, "3 has the place of 1 now");
        assert_eq!(line.leave(1), Left::Nothing, "3 has a place of its own now");
        assert_eq!(line.active(), 1);
        assert_eq!(line.leave(3), Left::Next(4));
    }

    #[test]
    fn a_lower_throttle_lets_none_in_until_there_is_room() {
        let mut line = line(3, 5);
        line.set_throttle(1);
        assert_eq!(line.leave(1), Left::Lend);
        assert_eq!(line.leave(2), Left::Lend);
        assert_eq!(line.leave(3), Left::Next(4));
    }

    #[test]
    fn a_cancelled_job_is_out_of_the_line() {
        let mut line = line(1, 3);
        assert_eq!(line.cancel(2), Some(2));
        assert_eq!(line.cancel(2), None);
        assert_eq!(line.cancel(1), None, "it has started");
        assert_eq!(line.leave(1), Left::Next(3));
    }
}
