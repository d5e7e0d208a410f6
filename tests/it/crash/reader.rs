//! Replicas that are kept through it all. Each whole page is checked by count and checksum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Form, Link, Replica, Trouble};

/// Pulls without pause. How often it was whole.
pub async fn poll(link: Link, form: Form, over: Arc<AtomicBool>) -> usize {
    let mut replica = Replica::new(link, None);
    let mut checks = 0;
    loop {
        // The last pull begins when all is written, and must succeed.
        let last = over.load(Ordering::Relaxed);
        match replica.pull(form).await {
            Ok(()) if last => return checks + 1,
            Ok(()) => checks += 1,
            Err(trouble) => recover(&mut replica, trouble).await,
        }
    }
}

/// Follows the live feed, reconnecting at its cursor. How often it was whole.
pub async fn stream(link: Link, scope: Option<&'static str>, over: Arc<AtomicBool>) -> usize {
    let mut replica = Replica::new(link, scope);
    let mut checks = 0;
    while !over.load(Ordering::Relaxed) {
        let trouble = match replica.subscribe().await {
            Ok(mut feed) => loop {
                match replica.follow(&mut feed).await {
                    Ok(true) => checks += 1,
                    Ok(false) => break None,
                    Err(trouble) => break Some(trouble),
                }
                if over.load(Ordering::Relaxed) {
                    break None;
                }
            },
            Err(trouble) => Some(trouble),
        };
        if let Some(trouble) = trouble {
            recover(&mut replica, trouble).await;
        }
    }
    checks
}

/// A repair that is interrupted begins anew: its cursor is right only once all is fetched.
async fn recover(replica: &mut Replica, trouble: Trouble) {
    let Trouble::Resync(mut problem) = trouble else {
        tokio::time::sleep(Duration::from_millis(2)).await;
        return;
    };
    let before = replica.whole_at;
    loop {
        assert_eq!(problem["reason"], "purged", "a kill breaks no history: {problem}");
        match replica.repair(&problem, Form::Pages(100)).await {
            Ok(()) => break,
            Err(Trouble::Lost(_)) => {}
            Err(Trouble::Resync(again)) => problem = again,
        }
    }
    assert!(before <= replica.whole_at, "the server went back");
}
