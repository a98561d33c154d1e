//! The hash of a value's content: the same for equal values, in every run.
//!
//! What is hashed is what serde is told of the value, in an encoding of its own in which no two
//! values of a type are the same: each part has a tag, and a length where it has no end. Maps are
//! put in the order of their encoded keys, so that a `HashMap` is what it holds. Names of types are
//! left out, those of fields and variants are in.

use std::fmt;

use serde::ser::{self, Serialize};
use sha2::{Digest, Sha256};

/// The first half of the SHA-256 of what `value` holds, in hexadecimal digits.
///
/// # Errors
/// `value` does not allow itself to be serialised.
pub(crate) fn content_hash<T: Serialize + ?Sized>(value: &T) -> Result<String, Unwritten> {
    let mut bytes = Vec::new();
    value.serialize(Encoder { bytes: &mut bytes })?;
    let digest = Sha256::digest(&bytes);
    Ok(hex(&digest[..16]))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a value says against being serialised.
#[derive(Debug)]
pub(crate) struct Unwritten(String);

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritten {}

impl ser::Error for Unwritten {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

struct Encoder<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    fn tag(&mut self, tag: u8) -> &mut Self {
        self.bytes.push(tag);
        self
    }

    fn run(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(bytes);
        self
    }

    fn plain(mut self, tag: u8, bytes: &[u8]) -> Result<(), Unwritten> {
        self.tag(tag).bytes.extend(bytes);
        Ok(())
    }
}

/// Parts one after the other, and their end.
struct Parts<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritten> {
        value.serialize(Encoder { bytes: self.bytes })
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unwritten> {
        Encoder { bytes: self.bytes }.tag(b'f').run(name.as_bytes());
        self.part(value)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as serde asks")]
    fn finish(self) -> Result<(), Unwritten> {
        self.bytes.push(b')');
        Ok(())
    }
}

/// The entries of a map, to be put in order.
struct Entries<'a> {
    bytes: &'a mut Vec<u8>,
    key: Vec<u8>,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Unwritten> {
    let mut bytes = Vec::new();
    value.serialize(Encoder { bytes: &mut bytes })?;
    Ok(bytes)
}

impl<'a> ser::Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Unwritten;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Unwritten> {
        self.plain(b'b', &[u8::from(value)])
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unwritten> {
        self.serialize_i128(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unwritten> {
        self.serialize_i128(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unwritten> {
        self.serialize_i128(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unwritten> {
        self.serialize_i128(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Unwritten> {
        match u128::try_from(value) {
            Ok(value) => self.serialize_u128(value),
            Err(_) => self.plain(b'i', &value.to_le_bytes()),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unwritten> {
        self.serialize_u128(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unwritten> {
        self.serialize_u128(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unwritten> {
        self.serialize_u128(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unwritten> {
        self.serialize_u128(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Unwritten> {
        self.plain(b'u', &value.to_le_bytes())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritten> {
        self.plain(b'd', &value.to_bits().to_le_bytes())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unwritten> {
        self.plain(b'D', &value.to_bits().to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritten> {
        self.plain(b'c', &u32::from(value).to_le_bytes())
    }

    fn serialize_str(mut self, value: &str) -> Result<(), Unwritten> {
        self.tag(b's').run(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), Unwritten> {
        self.tag(b'y').run(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unwritten> {
        self.plain(b'0', &[])
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), Unwritten> {
        self.tag(b'1');
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritten> {
        self.plain(b'n', &[])
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritten> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unwritten> {
        self.tag(b'v').run(variant.as_bytes());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritten> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritten> {
        self.tag(b'w').run(variant.as_bytes());
        value.serialize(self)
    }

    fn serialize_seq(mut self, _: Option<usize>) -> Result<Parts<'a>, Unwritten> {
        self.tag(b'(');
        Ok(Parts { bytes: self.bytes })
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Unwritten> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unwritten> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unwritten> {
        self.tag(b'w').run(variant.as_bytes());
        self.serialize_seq(None)
    }

    fn serialize_map(mut self, _: Option<usize>) -> Result<Entries<'a>, Unwritten> {
        self.tag(b'{');
        Ok(Entries {
            bytes: self.bytes,
            key: Vec::new(),
            entries: Vec::new(),
        })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unwritten> {
        self.serialize_seq(None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'a>, Unwritten> {
        self.serialize_tuple_variant(name, at, variant, length)
    }
}

impl ser::SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritten> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unwritten> {
        self.finish()
    }
}

impl ser::SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritten> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unwritten> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Parts<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritten> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unwritten> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Parts<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritten> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unwritten> {
        self.finish()
    }
}

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritten> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Unwritten> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Parts<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritten> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Unwritten> {
        self.finish()
    }
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritten> {
        self.key = encoded(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritten> {
        let key = std::mem::take(&mut self.key);
        self.entries.push((key, encoded(value)?));
        Ok(())
    }

    fn end(mut self) -> Result<(), Unwritten> {
        self.entries.sort_unstable();
        for (key, value) in &self.entries {
            self.bytes.extend(key);
            self.bytes.extend(value);
        }
        self.bytes.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Serialize;

    use super::*;

    fn hash(value: impl Serialize) -> String {
        content_hash(&value).unwrap()
    }

    #[derive(Serialize)]
    enum Shape {
        Empty,
        One(u8),
        Two(u8, u8),
        Named { a: u8 },
    }

    #[test]
    fn a_hash_is_the_same_in_every_run() {
        // Kept journals depend on it.
        assert_eq!(hash("a.txt").len(), 32);
        assert_eq!(hash("a.txt"), "7d62d1ef4c796e41d92c0d781f20ff04");
        assert_eq!(
            hash((1_u8, vec![Some(2.5)])),
            "640286bd17164c6243e2428846d46d62"
        );
    }

    #[test]
    fn what_is_different_has_another_hash() {
        let all = [
            hash(()),
            hash(None::<u8>),
            hash(Some(())),
            hash(Some(None::<u8>)),
            hash(f64::NAN),
            hash(Some(f64::NAN)),
            hash(0.0),
            hash(-0.0),
            hash(-1),
            hash(1),
            hash("1"),
            hash('1'),
            hash(("a", "bc")),
            hash(("ab", "c")),
            hash((vec![1], vec![2, 3])),
            hash((vec![1, 2], vec![3])),
            hash(Shape::Empty),
            hash(Shape::One(1)),
            hash(Shape::Two(1, 1)),
            hash(Shape::Named { a: 1 }),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "number {at}");
        }
    }

    #[test]
    fn a_map_is_what_it_holds() {
        let sorted: BTreeMap<u32, String> = (0..50).map(|it| (it, it.to_string())).collect();
        for _ in 0..5 {
            let shuffled: HashMap<u32, String> = sorted.clone().into_iter().collect();
            assert_eq!(hash(&shuffled), hash(&sorted));
        }
    }

    #[test]
    fn a_number_is_its_value() {
        assert_eq!(hash(7_u8), hash(7_i64));
        assert_eq!(hash(i128::MIN), hash(i128::MIN));
        assert_ne!(hash(-1_i8), hash(255_u8));
    }
}
