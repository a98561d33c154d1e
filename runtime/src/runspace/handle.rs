//! Who holds a host: the last to let go closes it.

use std::sync::Arc;

use super::host::Host;

/// Shared by the clones of a [`Runspace`](super::Runspace) or a pool.
pub(super) struct Handle {
    host: Arc<Host>,
}

impl Handle {
    pub(super) fn new(host: Arc<Host>) -> Arc<Self> {
        Arc::new(Self { host })
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.host.stop_all();
        }
        self.host.close();
    }
}
