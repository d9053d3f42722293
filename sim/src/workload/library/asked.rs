//! Services of `vr`, asked by operations that traces can hold.

use std::fmt::{self, Debug, Formatter};
use std::hash::Hash;
use std::marker::PhantomData;

use vr::Service;

use crate::digest::of;

/// An operation of a workload that stands for one of the service `S`.
pub trait Ask<S: Service>: Clone + Debug {
    /// What the service is asked for; `service` is as it is found.
    fn ask(&self, service: &S) -> S::Operation;
}

/// A service that takes operations `A` for its own, with a digest of its state.
pub struct Asked<S, A> {
    service: S,
    digest: u64,
    asks: PhantomData<A>,
}

impl<S: Hash, A> Asked<S, A> {
    /// The service in this state.
    pub fn new(service: S) -> Self {
        let digest = of(&service);
        Self { service, digest, asks: PhantomData }
    }

    /// A digest of the state.
    pub const fn digest(&self) -> u64 {
        self.digest
    }
}

impl<S: Service + Hash, A: Ask<S>> Service for Asked<S, A> {
    type Operation = A;
    type Response = S::Response;
    type SnapshotPart = S::SnapshotPart;

    fn execute(&mut self, operation: &A) -> S::Response {
        let response = self.service.execute(&operation.ask(&self.service));
        self.digest = of(&self.service);
        response
    }

    fn observe(&self, operation: &A) -> Option<S::Response> {
        self.service.observe(&operation.ask(&self.service))
    }

    fn snapshot(&self) -> Vec<S::SnapshotPart> {
        self.service.snapshot()
    }

    fn restore(&mut self, parts: &[S::SnapshotPart]) {
        self.service.restore(parts);
        self.digest = of(&self.service);
    }
}

impl<S: Clone, A> Clone for Asked<S, A> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), ..*self }
    }
}

impl<S: Debug, A> Debug for Asked<S, A> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.service.fmt(formatter)
    }
}
