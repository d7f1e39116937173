//! The metrics of calls, with OpenTelemetry's names.

jumun_core::metrics! {
    CALL_DURATION: Histogram "rpc_server_call_duration_seconds" in "seconds" [rpc_method, rpc_response_status_code]
        constant [rpc_system_name, service_version], "Calls that came in, until the answer began.";
}
