//! The limits, circuits and bulkheads of a process, as operators see them.

use contracts::admin::v1::{
    GetOverloadStatusResponse,
    get_overload_status_response::{Bulkhead as BulkheadStatus, Circuit as CircuitStatus, MethodLimit, circuit},
};

use rpc::{Bulkhead, Circuit, Limiter, Method, Overload, State};

pub(crate) fn of(overload: &Overload) -> GetOverloadStatusResponse {
    GetOverloadStatusResponse {
        protected: overload.is_protected,
        method_limits: overload.limits().map(|(method, limiter)| method_limit(method, limiter)).collect(),
        circuits: overload.circuits.iter().map(|each| circuit(each)).collect(),
        bulkheads: overload.bulkheads.iter().map(|each| bulkhead(each)).collect(),
    }
}

fn method_limit(method: &Method, limiter: &Limiter) -> MethodLimit {
    MethodLimit {
        method: method.name.clone(),
        limit: count(limiter.limit()),
        active_count: count(limiter.in_flight()),
        refused_count: large(limiter.refused()),
    }
}

fn circuit(circuit: &Circuit) -> CircuitStatus {
    let status = circuit.status_now();
    let state = match status.state {
        State::Closed => circuit::State::Closed,
        State::Open(_) => circuit::State::Open,
        State::HalfOpen { .. } => circuit::State::HalfOpen,
    };
    CircuitStatus {
        circuit: circuit.name(),
        state: state.into(),
        retry_delay: status.retry_after.and_then(|delay| delay.try_into().ok()),
        call_count: count(status.counts.calls),
        failed_count: count(status.counts.failed),
        slow_count: count(status.counts.slow),
        withheld_count: large(status.rejected),
        retried_count: large(status.retried),
        remaining_retry_count: count(status.retries_left),
    }
}

fn bulkhead(bulkhead: &Bulkhead) -> BulkheadStatus {
    BulkheadStatus {
        bulkhead: bulkhead.name().to_owned(),
        limit: count(bulkhead.limit()),
        active_count: count(bulkhead.in_flight()),
        waiting_count: count(bulkhead.waiting()),
        refused_count: large(bulkhead.refused()),
    }
}

fn count(value: impl TryInto<i32>) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

fn large(value: u64) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
