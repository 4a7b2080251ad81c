//! Which uploads are being written to right now, and the hash of what they
//! hold so far. Lost on restart, when the hash is taken from the file again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Hasher;
use store::UploadId;

/// A running hash and the number of bytes that went into it.
#[derive(Clone)]
pub(crate) struct Running {
    pub hasher: Hasher,
    pub hashed: u64,
}

enum Slot {
    Idle(Box<Running>),
    /// Somebody writes.
    Busy,
}

#[derive(Default)]
pub(crate) struct Sessions {
    slots: Mutex<HashMap<UploadId, Slot>>,
}

/// The only writer of an upload, for as long as it lives.
pub(crate) struct Lease {
    sessions: Arc<Sessions>,
    id: UploadId,
    /// The hash so far; `None` if it is not known.
    pub running: Option<Running>,
    /// Whether this process has seen the upload before.
    pub known: bool,
}

impl Sessions {
    fn slots(&self) -> MutexGuard<'_, HashMap<UploadId, Slot>> {
        // The map is whole between any two statements that touch it.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes the writer of an upload, if nobody else is.
    pub fn lease(self: &Arc<Self>, id: UploadId) -> Option<Lease> {
        let before = {
            let mut slots = self.slots();
            if matches!(slots.get(&id), Some(Slot::Busy)) {
                return None;
            }
            slots.insert(id, Slot::Busy)
        };
        let (running, known) = match before {
            Some(Slot::Idle(running)) => (Some(*running), true),
            _ => (None, false),
        };
        Some(Lease { sessions: self.clone(), id, running, known })
    }
}

impl Lease {
    /// The upload is over; nothing is remembered of it.
    pub fn end(mut self) {
        self.running = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut slots = self.sessions.slots();
        match self.running.take() {
            Some(running) => slots.insert(self.id, Slot::Idle(Box::new(running))),
            None => slots.remove(&self.id),
        };
    }
}
