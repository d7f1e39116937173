//! Converts faults between the API of operators and the process.

use std::time::Duration;

use contracts::admin::v1::Fault as Wire;
use jumun_core::{Error, Violations, code, reasons};
use rpc::{Fault, Faults, MAX_DELAY};
use tonic::Code;

/// The error of a process in which drills are off: DRILLS_OFF.
pub(crate) fn off() -> Error {
    let message = "drills are off in this process: start it with --drills (JUMUN_DRILLS=true)";
    Error::new(&reasons::DRILLS_OFF, message)
}

/// Reads a fault, and validates what its proto cannot declare. Fails with every wrong field.
pub(crate) fn read(wire: Wire, faults: &Faults) -> Result<Fault, Error> {
    let mut violations = Violations::default();
    violations.require(
        faults.knows(&wire.target),
        "fault.target",
        "is not a method or service of this process that can have faults",
    );
    let delay = violations.take("fault.delay", delay(wire.delay)).unwrap_or_default();
    let code = code::of_name(&wire.code).unwrap_or(Code::Ok);
    let has_effect = code != Code::Ok || !delay.is_zero();
    violations.require(has_effect, "fault", "must have a code, a delay, or both");
    violations.into_result()?;
    Ok(Fault::new(wire.target, code, delay, count(wire.every), count(wire.max_count)))
}

fn delay(given: Option<prost_types::Duration>) -> Result<Duration, String> {
    let delay = Duration::try_from(given.unwrap_or_default()).map_err(|_| "must not be negative".to_owned())?;
    if delay <= MAX_DELAY { Ok(delay) } else { Err(format!("must be at most {} s", MAX_DELAY.as_secs())) }
}

pub(crate) fn to_wire(fault: &Fault) -> Wire {
    let (calls, injected) = fault.counts();
    Wire {
        target: fault.target.clone(),
        code: if fault.code == Code::Ok { String::new() } else { code::name(fault.code).to_owned() },
        delay: Some(fault.delay).filter(|delay| !delay.is_zero()).and_then(|delay| delay.try_into().ok()),
        every: i32::try_from(fault.every).unwrap_or(i32::MAX),
        max_count: i32::try_from(fault.max_count).unwrap_or(i32::MAX),
        call_count: i64::try_from(calls).unwrap_or(i64::MAX),
        struck_count: i64::try_from(injected).unwrap_or(i64::MAX),
    }
}

/// The proto's rules exclude negative numbers.
fn count(number: i32) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
