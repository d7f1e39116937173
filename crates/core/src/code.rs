//! gRPC status codes by name (google.rpc.Code).

use tonic::Code;

/// The codes, in the order of their numbers.
pub const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The index of a code in [`NAMES`].
pub fn index(code: Code) -> usize {
    usize::try_from(i32::from(code)).unwrap_or_default()
}

/// The name of a code, e.g. `NOT_FOUND`.
pub fn name(code: Code) -> &'static str {
    NAMES.get(index(code)).copied().unwrap_or("UNKNOWN")
}

/// The code with this name; None if there is none.
pub fn of_name(name: &str) -> Option<Code> {
    let number = NAMES.iter().position(|known| *known == name)?;
    i32::try_from(number).ok().map(Code::from_i32)
}
