//! BenchService: an empty method behind the same layers as every other, to measure their cost.

use contracts::bench::v1::{
    EchoRequest, EchoResponse,
    bench_service_server::{BenchService, BenchServiceServer},
};
use rpc::MAX_REQUEST_BYTES;
use tonic::{Request, Response, Status};

/// Serves `jumun.bench.v1.BenchService`.
#[derive(Clone)]
pub(crate) struct Bench;

impl Bench {
    pub(crate) fn service() -> BenchServiceServer<Self> {
        BenchServiceServer::new(Self).max_decoding_message_size(MAX_REQUEST_BYTES)
    }
}

#[tonic::async_trait]
impl BenchService for Bench {
    async fn echo(&self, _: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse {}))
    }
}
