//! Reading a value. The format is in `ser.rs`.

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::raw::{self, Blobs, Number, Raw};
use super::ser::DEPTH;
use super::{CodecError, Direction};
use crate::error::drop_quietly;

/// Reads the value at the front of `bytes`, and takes it off.
#[cfg(feature = "cluster")]
pub(crate) fn front<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    read_front(bytes, &mut Blobs::new())
}

/// Reads a value written by `to_bytes`.
#[cfg(any(test, feature = "cluster"))]
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    read(bytes, &mut Blobs::new())
}

/// Reads the value that `bytes` are, to the last of them, with the runs that came ahead of it.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], blobs: &mut Blobs) -> Result<T, CodecError> {
    let mut rest = bytes;
    let value = read_front(&mut rest, blobs)?;
    match rest.len() {
        0 => Ok(value),
        left => {
            drop_quietly(value);
            Err(CodecError::value(format!(
                "{left} bytes are left over behind it"
            )))
        }
    }
}

/// Reads the value at the front of `bytes`, and takes it off.
pub(super) fn read_front<T: DeserializeOwned>(
    bytes: &mut &[u8],
    blobs: &mut Blobs,
) -> Result<T, CodecError> {
    let mut decoder = Decoder {
        input: bytes,
        blobs,
        depth: 0,
    };
    let value = Direction::Deserialize.guard(|| T::deserialize(&mut decoder))?;
    *bytes = decoder.input;
    Ok(value)
}

struct Decoder<'de, 'a> {
    input: &'de [u8],
    blobs: &'a mut Blobs,
    depth: u32,
}

fn short() -> CodecError {
    CodecError::value("its bytes end too early")
}

impl<'de> Decoder<'de, '_> {
    fn take(&mut self, length: usize) -> Result<&'de [u8], CodecError> {
        let (taken, rest) = self.input.split_at_checked(length).ok_or_else(short)?;
        self.input = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.input.split_first_chunk().ok_or_else(short)?;
        self.input = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u128, CodecError> {
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let group = u128::from(byte & 0x7f);
            if (group << shift) >> shift != group {
                break;
            }
            number |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(CodecError::value("a number in it is too long"))
    }

    fn narrow<N: TryFrom<u128>>(&mut self) -> Result<N, CodecError> {
        let number = self.number()?;
        N::try_from(number).map_err(|_| CodecError::value("a number in it is out of range"))
    }

    fn signed<N: TryFrom<i128>>(&mut self) -> Result<N, CodecError> {
        let number = self.number()?;
        let number = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        N::try_from(number).map_err(|_| CodecError::value("a number in it is out of range"))
    }

    fn blob(&mut self) -> Result<Raw, CodecError> {
        let blob = self.blobs.pop_front();
        blob.ok_or_else(|| CodecError::value("a part that should have come ahead of it did not"))
    }

    /// The bytes of a text or a byte string: in place, or come ahead.
    fn bytes(&mut self) -> Result<Bytes<'de>, CodecError> {
        match self.narrow::<usize>()? {
            0 => match self.blob()? {
                Raw::U8(bytes) => Ok(Bytes::Ahead(bytes)),
                _ => Err(CodecError::value("bytes were expected where numbers came")),
            },
            length => self.take(length - 1).map(Bytes::InPlace),
        }
    }

    /// One level further down.
    fn nest<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(CodecError::too_deep(DEPTH));
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Parts of which `length` come, or a mark before each when that is `None`.
    fn parts<V: Visitor<'de>>(
        &mut self,
        length: Option<usize>,
        visit: impl FnOnce(&mut Parts<'_, 'de, '_>) -> Result<V::Value, CodecError>,
    ) -> Result<V::Value, CodecError> {
        // Only parts without size take no bytes, and a vector of those is hardly ever long. The
        // bound keeps a false length from being counted up to.
        const NO_BYTES: usize = 1 << 24;
        let most = self.input.len().saturating_add(NO_BYTES);
        if let Some(length) = length.filter(|it| *it > most) {
            return Err(CodecError::value(format!(
                "it is said to have {length} parts, and {} bytes are left for them: it was cut short, or it is \
                 a collection of more than {NO_BYTES} values of no size, such as `Vec<()>`; send their number instead",
                self.input.len()
            )));
        }
        self.nest(|decoder| {
            let mut parts = Parts {
                decoder,
                left: length,
            };
            let value = visit(&mut parts)?;
            parts.finish()?;
            Ok(value)
        })
    }

    fn sequence<V: Visitor<'de>>(
        &mut self,
        length: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.parts::<V>(length, |parts| visitor.visit_seq(parts))
    }

    fn fields<V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        let written = self.narrow::<usize>()?;
        if written != fields.len() {
            let text = format!(
                "{written} fields were written where {} are read ({}); a field that is skipped on \
                 one side only cannot be used on what travels between processes",
                fields.len(),
                fields.join(", "),
            );
            return Err(CodecError::value(text));
        }
        self.sequence(Some(written), visitor)
    }

    /// A run of numbers, in place or come ahead.
    fn numbers(&mut self, head: usize) -> Result<Raw, CodecError> {
        if head == 2 {
            let length = self.narrow::<usize>()?;
            let raw = self.blob()?;
            return if raw.len() == length {
                Ok(raw)
            } else {
                Err(CodecError::value(
                    "a part that came ahead of it has the wrong length",
                ))
            };
        }
        let number = Number::from_code(self.byte()?);
        let number = number.ok_or_else(|| CodecError::value("it has an unknown kind of number"))?;
        let length = self.narrow::<usize>()?.checked_mul(number.width());
        let bytes = self.take(length.ok_or_else(short)?)?;
        raw::from_inline(number, bytes)
    }
}

enum Bytes<'de> {
    InPlace(&'de [u8]),
    Ahead(Vec<u8>),
}

fn not_text<E>(_: E) -> CodecError {
    CodecError::value("a text in it is not UTF-8")
}

/// Whether `V` is what serde reads a vector of numbers with: then the vector itself is the answer.
/// Should serde rename it, vectors are read one number at a time again, and a test says so.
fn reads_number_vec<'de, V: Visitor<'de>>() -> bool {
    raw::is_number_vec::<V::Value>() && {
        let name = std::any::type_name::<V>();
        name.starts_with("serde") && name.contains("::VecVisitor<")
    }
}

struct Parts<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    left: Option<usize>,
}

impl Parts<'_, '_, '_> {
    fn more(&mut self) -> Result<bool, CodecError> {
        match &mut self.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => match self.decoder.byte()? {
                0 => {
                    self.left = Some(0);
                    Ok(false)
                }
                1 => Ok(true),
                _ => Err(CodecError::value("a mark in it is neither 0 nor 1")),
            },
        }
    }

    /// All parts have been taken.
    fn finish(&mut self) -> Result<(), CodecError> {
        if self.more()? {
            return Err(CodecError::value("it has more parts than were read"));
        }
        Ok(())
    }

    fn hint(&self) -> Option<usize> {
        self.left.map(|left| left.min(self.decoder.input.len()))
    }
}

impl<'de> de::SeqAccess<'de> for &mut Parts<'_, 'de, '_> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CodecError> {
        if !self.more()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> de::MapAccess<'de> for &mut Parts<'_, 'de, '_> {
    type Error = CodecError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CodecError> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, CodecError> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'b, 'de, 'a> de::EnumAccess<'de> for &'b mut Decoder<'de, 'a> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), CodecError> {
        let variant = self.narrow::<u32>()?;
        let variant = seed.deserialize(variant.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Decoder<'de, '_> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, CodecError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.sequence(Some(length), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(fields, visitor)
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $how:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            let number = self.$how()?;
            visitor.$visit(number)
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de, '_> {
    type Error = CodecError;

    numbers! {
        deserialize_u16 visit_u16 narrow,
        deserialize_u32 visit_u32 narrow,
        deserialize_u64 visit_u64 narrow,
        deserialize_u128 visit_u128 narrow,
        deserialize_i16 visit_i16 signed,
        deserialize_i32 visit_i32 signed,
        deserialize_i64 visit_i64 signed,
        deserialize_i128 visit_i128 signed,
        deserialize_u8 visit_u8 byte,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, CodecError> {
        Err(CodecError::value(
            "its type asks what the bytes hold (`flatten`, `untagged` and `tag` do, as do types \
             such as `serde_json::Value`), which they do not say; send it as JSON text instead",
        ))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(CodecError::value("a truth value in it is neither 0 nor 1")),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let number = self.byte()?;
        visitor.visit_i8(number.cast_signed())
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let bytes = self.array()?;
        visitor.visit_f32(f32::from_le_bytes(bytes))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let bytes = self.array()?;
        visitor.visit_f64(f64::from_le_bytes(bytes))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let number = self.narrow::<u32>()?;
        let it = char::from_u32(number);
        visitor.visit_char(it.ok_or_else(|| CodecError::value("a character in it is none"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.bytes()? {
            Bytes::InPlace(bytes) => {
                visitor.visit_str(std::str::from_utf8(bytes).map_err(not_text)?)
            }
            Bytes::Ahead(bytes) => {
                visitor.visit_string(String::from_utf8(bytes).map_err(not_text)?)
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.bytes()? {
            Bytes::InPlace(bytes) => visitor.visit_bytes(bytes),
            Bytes::Ahead(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => self.nest(|decoder| visitor.visit_some(decoder)),
            _ => Err(CodecError::value("an option in it is neither 0 nor 1")),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.nest(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.narrow::<usize>()? {
            0 => self.sequence(None, visitor),
            head @ (1 | 2) => {
                let numbers = self.numbers(head)?;
                if !reads_number_vec::<V>() {
                    return numbers.visit(visitor);
                }
                match numbers.into_vec() {
                    Ok(vec) => Ok(vec),
                    Err(numbers) => numbers.visit(visitor),
                }
            }
            head => self.sequence(Some(head - 3), visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.sequence(Some(length), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.sequence(Some(length), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let length = self.narrow::<usize>()?.checked_sub(1);
        self.parts::<V>(length, |parts| visitor.visit_map(parts))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.nest(|decoder| visitor.visit_enum(decoder))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
