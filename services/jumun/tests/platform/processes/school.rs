//! Requirements §1.3 over real processes: education or payment is down, hangs, or is killed while learners apply.

use std::{collections::BTreeSet, time::Duration};

use contracts::{
    Money,
    education::v1::{
        ListRegistrationsRequest, Registration, education_service_client::EducationServiceClient,
        registration::State as RegistrationState,
    },
    enrollment::v1::{
        CancelEnrollmentRequest, CreateEnrollmentRequest, Enrollment, ListEnrollmentsRequest,
        enrollment::State as EnrollmentState, enrollment_service_client::EnrollmentServiceClient,
    },
};
use futures::future::join_all;
use tonic::{Code, transport::Channel};

use super::{
    clients::{Answer, answer, channel, new_id},
    cluster::{ProcessCluster, RECOVERY},
    temp_env::eventually,
};

const LEARNERS: usize = 40;
/// One of this number of learners cancels before education receives the enrollment.
const CANCELLED_EACH: usize = 10;
/// How long payment serves between two kills, and how long it is down.
const ALIVE: Duration = Duration::from_millis(700);
const AWAY: Duration = Duration::from_millis(500);

/// Clients of enrollment and education.
pub(super) struct Learners {
    enrollments: EnrollmentServiceClient<Channel>,
    registrations: EducationServiceClient<Channel>,
}

impl Learners {
    pub(super) fn of(cluster: &ProcessCluster) -> Self {
        Self {
            enrollments: EnrollmentServiceClient::new(channel(&cluster.url("enrollment"))),
            registrations: EducationServiceClient::new(channel(&cluster.url("education"))),
        }
    }

    pub(super) async fn enroll(&self, request_id: &str) -> Answer<Enrollment> {
        let enrollment = Enrollment {
            learner: "learners/hana".to_owned(),
            course: "courses/rust-101".to_owned(),
            course_title: "Rust".to_owned(),
            fee: Some(Money { currency_code: "KRW".to_owned(), units: 90_000, nanos: 0 }),
            payment_method: "tok_visa".to_owned(),
            ..Enrollment::default()
        };
        let request = CreateEnrollmentRequest { enrollment: Some(enrollment), request_id: request_id.to_owned() };
        answer(self.enrollments.clone().create_enrollment(request)).await
    }

    async fn cancel(&self, name: &str) -> Answer<Enrollment> {
        let request = CancelEnrollmentRequest { name: name.to_owned(), request_id: new_id() };
        answer(self.enrollments.clone().cancel_enrollment(request)).await
    }

    /// Waits until no enrollment waits for payment.
    async fn are_settled(&self) {
        for state in ["PENDING", "VOIDING"] {
            eventually(&format!("no enrollment to be {state}"), RECOVERY, || async {
                let request = ListEnrollmentsRequest { filter: format!("state = {state}"), ..Default::default() };
                let found = answer(self.enrollments.clone().list_enrollments(request)).await;
                let found = found.map_err(|refusal| refusal.to_string())?.enrollments;
                if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
            })
            .await;
        }
    }

    async fn registered(&self) -> Answer<Vec<Registration>> {
        let request = ListRegistrationsRequest { page_size: 100, ..Default::default() };
        Ok(answer(self.registrations.clone().list_registrations(request)).await?.registrations)
    }

    /// Each enrollment has one registration; those of cancelled enrollments are cancelled.
    async fn all_arrive(&self, enrolled: &BTreeSet<String>, cancelled: &BTreeSet<String>) {
        let expected = |registration: &Registration| match cancelled.contains(&registration.enrollment) {
            true => RegistrationState::Cancelled,
            false => RegistrationState::Registered,
        };
        eventually("every registration to arrive", RECOVERY, || async {
            let found = self.registered().await.map_err(|refusal| refusal.to_string())?;
            let names: BTreeSet<_> = found.iter().map(|registration| registration.enrollment.clone()).collect();
            let agree = found.iter().all(|registration| registration.state() == expected(registration));
            if names == *enrolled && agree { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn applications_are_taken_while_education_is_down_and_arrive_when_it_returns() {
    let mut cluster = ProcessCluster::each_alone().await;
    // Each context may have another kind of database.
    let file = cluster.temp_env.path("education.db");
    cluster.set_database("education", &format!("sqlite://{}", file.display()));
    cluster.program("payment").start().await;
    cluster.program("enrollment").start().await;
    let learners = Learners::of(&cluster);
    let ids: Vec<_> = (0..LEARNERS).map(|_| new_id()).collect();
    let enrolled = join_all(ids.iter().map(|id| learners.enroll(id))).await;
    let enrolled: Vec<_> = enrolled.into_iter().map(|answer| answer.expect("it is taken").name).collect();
    let mut cancelled = BTreeSet::new();
    for name in enrolled.iter().step_by(CANCELLED_EACH) {
        let state = learners.cancel(name).await.expect("it is not completed").state();
        assert_eq!(state, EnrollmentState::Cancelled);
        cancelled.insert(name.clone());
    }
    cluster.start().await;
    learners.all_arrive(&enrolled.into_iter().collect(), &cancelled).await;
    cluster.becomes_clean(RECOVERY).await;
    assert!(file.exists(), "the school's file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn applications_come_to_an_end_when_payment_hangs_and_when_it_is_killed() {
    let mut cluster = ProcessCluster::each_alone().await;
    cluster.start().await;
    let learners = Learners::of(&cluster);
    learners.enroll(&new_id()).await.expect("a good card");
    cluster.program("payment").freeze();
    let refusal = learners.enroll(&new_id()).await.expect_err("payment hangs");
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"), "{refusal}");
    assert!(refusal.retry_after.is_some() && refusal.metadata.contains_key("enrollment"), "{refusal}");
    cluster.program("payment").thaw();

    let ids: Vec<_> = (0..LEARNERS).map(|_| new_id()).collect();
    for ids in ids.chunks(LEARNERS / 4) {
        let kill = async {
            tokio::time::sleep(AWAY).await;
            cluster.program("payment").kill();
            tokio::time::sleep(AWAY).await;
            cluster.program("payment").start().await;
            tokio::time::sleep(ALIVE).await;
        };
        let apply = join_all(ids.iter().map(|id| async {
            for _ in 0..5 {
                let _ = learners.enroll(id).await;
                tokio::time::sleep(AWAY / 4).await;
            }
        }));
        tokio::join!(kill, apply);
    }
    learners.are_settled().await;
    // Every interrupted request has one final answer, which is the same each time.
    for id in &ids {
        let first = eventually("an answer", RECOVERY, || async {
            match learners.enroll(id).await {
                // The circuit to payment may still be open.
                Err(refusal) if refusal.leaves_it_open() => Err(refusal),
                answer => Ok(answer.map_err(|refusal| refusal.reason)),
            }
        })
        .await;
        assert!(first.is_ok() || first == Err("ENROLLMENT_NOT_MADE".to_owned()), "{first:?}");
        assert_eq!(learners.enroll(id).await.map_err(|refusal| refusal.reason), first);
    }
    cluster.becomes_clean(RECOVERY).await;
    assert!(!learners.registered().await.expect("a list").is_empty(), "no application succeeded");
}
