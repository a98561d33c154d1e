//! Who may give work: whoever has the key.
//!
//! Every message of a run carries a MAC. That of the announcement is made with the key itself, over the run, the
//! build of the executable, the code to run and the version of the format; those of items and results with a
//! key that is made from all of that. So what another build, or a stranger who may publish, puts into a
//! stream is never read as a value, and no code is run for it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::{ClusterError, ClusterErrorKind};

/// The variable that has the key.
pub(crate) const KEY: &str = "RUNSPACE_KEY";

/// The fewest bytes of a key.
const SHORTEST: usize = 16;

/// How many bytes of the MAC go with a message.
pub(crate) const TAG: usize = 16;

/// What a message is, so that none can be taken for one of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sealed {
    Announcement = 1,
    Item = 2,
    Result = 3,
    Control = 4,
    Note = 5,
}

/// A key, ready for use.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// Of a secret that clients and workers share.
    pub(crate) fn of_secret(secret: &str) -> Result<Self, ClusterError> {
        if secret.len() < SHORTEST {
            return Err(ClusterError::new(
                ClusterErrorKind::Key,
                match secret.len() {
                    0 => format!(
                        "a cluster has a key, which its workers know as well, so that nobody else can have \
                         code run: set {KEY} to the same secret for both (`openssl rand -hex 32` makes one), \
                         or give it to the builder with `.key(..)`"
                    ),
                    length => format!(
                        "the key of the cluster has {length} bytes; it takes at least {SHORTEST} (`openssl \
                         rand -hex 32` makes one)"
                    ),
                },
            ));
        }
        Ok(Self::of_bytes(secret.as_bytes()))
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(bytes) else {
            unreachable!("a key of this kind has any length");
        };
        Self(mac)
    }

    /// The key for messages of the run that is announced by `announcement`.
    pub(crate) fn of_run(&self, announcement: &[u8]) -> Self {
        let mut mac = self.0.clone();
        mac.update(b"runspace: the key of a run");
        mac.update(announcement);
        Self::of_bytes(&mac.finalize().into_bytes())
    }

    fn mac(&self, what: Sealed, parts: [&[u8]; 2]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&[what as u8]);
        parts.iter().for_each(|it| mac.update(it));
        mac
    }

    /// Puts the MAC of `message` in front of it, where room for it has been left.
    pub(crate) fn seal(&self, what: Sealed, message: &mut [u8]) {
        let (tag, content) = message.split_at_mut(TAG);
        let mac = self.mac(what, [content, &[]]).finalize().into_bytes();
        tag.copy_from_slice(&mac[..TAG]);
    }

    /// What is behind the MAC, if that is the right one.
    pub(crate) fn open<'a>(&self, what: Sealed, message: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, content) = message.split_at_checked(TAG)?;
        let mac = self.mac(what, [content, &[]]);
        mac.verify_truncated_left(tag).ok().map(|()| content)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &Key, what: Sealed) -> Vec<u8> {
        let mut message = [&[0; TAG], &b"content"[..]].concat();
        key.seal(what, &mut message);
        message
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_only() {
        let key = Key::of_secret("0123456789abcdef").unwrap();
        let message = sealed(&key, Sealed::Item);
        assert_eq!(key.open(Sealed::Item, &message), Some(&b"content"[..]));
        assert_eq!(key.open(Sealed::Result, &message), None);
        let other = Key::of_secret("0123456789abcdeF").unwrap();
        assert_eq!(other.open(Sealed::Item, &message), None);
        assert_eq!(key.of_run(b"a").open(Sealed::Item, &message), None);
        for at in 0..message.len() {
            let mut forged = message.clone();
            forged[at] ^= 1;
            assert_eq!(key.open(Sealed::Item, &forged), None);
        }
        assert_eq!(key.open(Sealed::Item, &message[..TAG - 1]), None);
    }

    #[test]
    fn runs_have_keys_of_their_own() {
        let key = Key::of_secret("0123456789abcdef").unwrap();
        let message = sealed(&key.of_run(b"one"), Sealed::Item);
        assert!(key.of_run(b"one").open(Sealed::Item, &message).is_some());
        assert!(key.of_run(b"two").open(Sealed::Item, &message).is_none());
    }

    #[test]
    fn a_key_has_some_length() {
        for (secret, said) in [("", "set RUNSPACE_KEY"), ("short", "has 5 bytes")] {
            let error = Key::of_secret(secret).unwrap_err();
            assert_eq!(error.kind(), ClusterErrorKind::Key);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
