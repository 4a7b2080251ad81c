//! Verifies passwords: Argon2, which is slow on purpose, so a few at a time
//! and remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use store::{Account, StoreError};
use tokio::sync::Semaphore;

use super::AuthError;

/// Hashes computed at once; each takes 19 MiB.
const HASHING_MAX: usize = 2;
/// Callers that may wait for one.
const WAITING_MAX: usize = 64;
/// How long a verified password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many are.
const REMEMBERED_MAX: usize = 4096;

/// Hashes a password for storing. Blocks for some ten milliseconds.
pub fn hash_password(password: &str) -> Result<String, StoreError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|h| h.to_string()).map_err(|error| StoreError::corrupt("password", error))
}

/// Verifies passwords, with a memory for those that were right.
pub(super) struct Passwords {
    /// Makes the memory useless to whoever reads a dump of it.
    key: [u8; 32],
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
    hashing: Semaphore,
    waiting: Semaphore,
    /// What a name that does not exist is verified against, so that it takes
    /// as long as one that does.
    nobody: Arc<OnceLock<String>>,
}

impl Passwords {
    pub fn new() -> Result<Self, StoreError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| StoreError::io("make a key")(e.into()))?;
        Ok(Self {
            key,
            remembered: Mutex::default(),
            hashing: Semaphore::new(HASHING_MAX),
            waiting: Semaphore::new(HASHING_MAX + WAITING_MAX),
            nobody: Arc::default(),
        })
    }

    /// Whether the password is the account's. `account` is the one of this
    /// name, if there is one.
    pub async fn verify(
        &self,
        account: Option<&Account>,
        name: &str,
        password: &str,
    ) -> Result<bool, AuthError> {
        let hash = account.map_or("", |a| a.password_hash.as_str());
        // The stored hash is part of the key: a changed password is forgotten.
        let key = self.memory_key(&[hash, name, password]);
        if account.is_some() && self.remembers(&key, Instant::now()) {
            return Ok(true);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| AuthError::Busy)?;
        let _hashing = self.hashing.acquire().await.map_err(|_| AuthError::Busy)?;
        let (hash, password, nobody) = (hash.to_owned(), password.to_owned(), self.nobody.clone());
        let verified = tokio::task::spawn_blocking(move || {
            let placeholder = || nobody.get_or_init(|| hash_password("").unwrap_or_default());
            let parsed =
                PasswordHash::new(if hash.is_empty() { placeholder() } else { &hash }).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &parsed).ok()
        });
        let verified = verified.await.ok().flatten().is_some() && account.is_some();
        if verified {
            self.remember(key, Instant::now());
        }
        Ok(verified)
    }

    fn memory_key(&self, parts: &[&str]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        for part in parts {
            // With its length, or "a" + "bc" would be "ab" + "c".
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn remembers(&self, key: &[u8; 32], now: Instant) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(key).is_some_and(|until| now < *until)
    }

    fn remember(&self, key: [u8; 32], now: Instant) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, until| now < *until);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, now + REMEMBERED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{Algorithm, Params, Version};

    fn account(password: &str) -> Account {
        // Cheap parameters: a hash carries its own.
        let cheap =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let password_hash = cheap.hash_password(password.as_bytes()).unwrap().to_string();
        Account {
            name: "a".into(),
            password_hash,
            admin: false,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn a_remembered_password_dies_with_the_hash_it_was_verified_against() {
        let passwords = Passwords::new().unwrap();
        let before = account("one");
        assert!(passwords.verify(Some(&before), "a", "one").await.unwrap());
        assert!(passwords.verify(Some(&before), "a", "one").await.unwrap());
        assert!(!passwords.verify(Some(&before), "a", "two").await.unwrap());
        assert!(!passwords.verify(Some(&account("two")), "a", "one").await.unwrap());
        assert!(
            !passwords.verify(None, "nobody", "").await.unwrap(),
            "not even the placeholder's password"
        );
    }

    #[test]
    fn memory_ends() {
        let passwords = Passwords::new().unwrap();
        let (key, now) = (passwords.memory_key(&["a", "b"]), Instant::now());
        assert_ne!(key, passwords.memory_key(&["ab", ""]));
        passwords.remember(key, now);
        assert!(passwords.remembers(&key, now));
        assert!(!passwords.remembers(&key, now + REMEMBERED));
    }
}
