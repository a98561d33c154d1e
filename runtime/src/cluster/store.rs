//! What is too large for a message: in the object store, a bucket for each run.

use async_nats::jetstream::Context;
use async_nats::jetstream::object_store::{Config, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::StorageType;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

use super::error::ClusterError;
use super::message::Stored;
use super::names::Names;

/// The longest value that goes in a message. Servers take 1 MiB with headers unless they are set up otherwise.
pub(crate) const LARGEST: usize = 512 << 10;

/// How much of a value goes in one message of the store.
const CHUNK: usize = 256 << 10;

/// The bucket of a run, made when it is needed.
pub(crate) struct Store {
    context: Context,
    bucket: String,
    replicas: usize,
    open: OnceCell<ObjectStore>,
}

impl Store {
    pub(crate) fn new(context: Context, names: &Names, replicas: usize) -> Self {
        Self {
            context,
            bucket: names.bucket(),
            replicas,
            open: OnceCell::new(),
        }
    }

    async fn store(&self) -> Result<&ObjectStore, ClusterError> {
        let make = || async {
            // Whoever comes second finds the bucket that there is.
            let found = self.context.get_object_store(&self.bucket).await;
            if let Ok(found) = found {
                return Ok(found);
            }
            let config = Config {
                bucket: self.bucket.clone(),
                storage: StorageType::File,
                num_replicas: self.replicas,
                ..Config::default()
            };
            let made = self.context.create_object_store(config).await;
            made.map_err(|error| ClusterError::server("make an object store", error))
        };
        self.open.get_or_try_init(make).await
    }

    /// Puts `value` there under a name that no other has.
    pub(crate) async fn put(&self, name: String, value: &[u8]) -> Result<Stored, ClusterError> {
        let meta = ObjectMetadata {
            name: name.clone(),
            chunk_size: Some(CHUNK),
            ..ObjectMetadata::default()
        };
        let mut from = value;
        let put = self.store().await?.put(meta, &mut from).await;
        put.map_err(|error| ClusterError::server("keep a large value", error))?;
        Ok(Stored {
            object: name,
            sha256: Sha256::digest(value).into(),
        })
    }

    /// The value. What is not what was put there is an error.
    pub(crate) async fn get(&self, stored: &Stored) -> Result<Bytes, ClusterError> {
        let failed = |error: String| ClusterError::server("answer a large value", error);
        let mut object = self
            .store()
            .await?
            .get(&stored.object)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let mut value = Vec::with_capacity(object.info().size.min(64 << 20));
        object
            .read_to_end(&mut value)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if <[u8; 32]>::from(Sha256::digest(&value)) != stored.sha256 {
            return Err(failed("it is not what was put there".to_owned()));
        }
        Ok(value.into())
    }

    /// Lets go of a value.
    pub(crate) async fn remove(&self, stored: &Stored) {
        if let Ok(store) = self.store().await {
            let _ = store.delete(&stored.object).await;
        }
    }
}
