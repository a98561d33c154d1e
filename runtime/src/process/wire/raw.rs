//! Runs of numbers as they lie in memory.
//!
//! serde hands a `Vec<u8>` over one element at a time, to the writer and from the reader. Sixteen
//! mebibytes that way cost ten times what copying them costs. Here such values are recognised by
//! their type, compared as [`TypeId`]s, and moved whole.
//!
//! `unsafe` in this module: the two casts behind an equality of types, the view of numbers as
//! bytes, and the filling of a vector from a reader.

#![allow(unsafe_code)]

use std::any::TypeId;
use std::collections::VecDeque;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::{ptr, slice};

use super::CodecError;
use super::frame::{Source, read_front};

/// The runs that came ahead of a value, in the order in which it refers to them.
pub(crate) type Blobs = VecDeque<Raw>;

/// How much address space a claimed length gets before any of its bytes have come. It takes memory
/// only as they come.
const STEP: usize = 32 << 20;

/// From this length on, memory is asked for in large pages: a fresh page costs about as much as
/// filling it does.
const LARGE_PAGES: usize = 4 << 20;

macro_rules! numbers {
    ($($code:literal $name:ident $store:ident $($number:ty)|+;)*) => {
        /// The types of number that travel as they lie in memory.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Number { $($name = $code),* }

        impl Number {
            pub(crate) fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            pub(crate) fn width(self) -> usize {
                match self { $(Self::$name => size_of::<$store>()),* }
            }
        }

        /// A run of numbers, in an allocation that fits the vector it will become.
        pub(crate) enum Raw { $($name(Vec<$store>)),* }

        impl Raw {
            fn empty(number: Number) -> Self {
                match number { $(Number::$name => Self::$name(Vec::new())),* }
            }

            /// How many numbers there are.
            pub(crate) fn len(&self) -> usize {
                match self { $(Self::$name(numbers) => numbers.len()),* }
            }

            /// The vector `V`, if `V` is the vector that this run was written from.
            pub(super) fn into_vec<V>(self) -> Result<V, Self> {
                let wanted = typeid::of::<V>();
                match self {
                    $(Self::$name(numbers) => {
                        $(if wanted == TypeId::of::<Vec<$number>>() {
                            let numbers: Vec<$number> = cast_vec(numbers);
                            return Ok(same_type::<Vec<$number>, V>(numbers));
                        })+
                        Err(Self::$name(numbers))
                    })*
                }
            }

            /// Hands the numbers to `visitor` one at a time, as any other sequence.
            pub(super) fn visit<'de, V: serde::de::Visitor<'de>>(
                self,
                visitor: V,
            ) -> Result<V::Value, CodecError> {
                match self {
                    $(Self::$name(numbers) => {
                        let numbers = numbers.into_iter();
                        let mut access = serde::de::value::SeqDeserializer::new(numbers);
                        let value = visitor.visit_seq(&mut access)?;
                        access.end()?;
                        Ok(value)
                    })*
                }
            }

            fn room(&mut self, bytes: usize) -> Result<&mut [MaybeUninit<u8>], ()> {
                match self { $(Self::$name(numbers) => room(numbers, bytes)),* }
            }

            fn set_filled(&mut self, bytes: usize) {
                match self { $(Self::$name(numbers) => set_filled(numbers, bytes)),* }
            }
        }

        /// The numbers of `value`, if it is a vector or a slice of numbers.
        pub(super) fn numbers_of<T: ?Sized>(value: &T) -> Option<(Number, &[u8])> {
            let it = typeid::of::<T>();
            $($(
                if it == TypeId::of::<Vec<$number>>() {
                    // SAFETY: `T` is `Vec<$number>`, which has no lifetime that could differ.
                    let numbers = unsafe { &*ptr::from_ref(value).cast::<Vec<$number>>() };
                    return Some((Number::$name, bytes_of(numbers)));
                }
                if it == TypeId::of::<Box<[$number]>>() {
                    // SAFETY: `T` is `Box<[$number]>`, which has no lifetime that could differ.
                    let numbers = unsafe { &*ptr::from_ref(value).cast::<Box<[$number]>>() };
                    return Some((Number::$name, bytes_of(numbers)));
                }
                if it == TypeId::of::<&'static [$number]>() {
                    // SAFETY: `T` is `&'a [$number]` with some `'a` at least as long as the
                    // borrow of `value`, which is all the answer is lent for.
                    let numbers = unsafe { *ptr::from_ref(value).cast::<&[$number]>() };
                    return Some((Number::$name, bytes_of(numbers)));
                }
            )+)*
            None
        }

        /// Whether `V` is a vector of numbers.
        pub(super) fn is_number_vec<V>() -> bool {
            let it = typeid::of::<V>();
            false $($(|| it == TypeId::of::<Vec<$number>>())+)*
        }

        /// A number without padding of which every bit pattern is a value.
        trait Plain: Copy + 'static {}
        $($(impl Plain for $number {})+)*
    };
}

#[cfg(target_pointer_width = "64")]
numbers! {
    1 U8 u8 u8;
    2 I8 i8 i8;
    3 U16 u16 u16;
    4 I16 i16 i16;
    5 U32 u32 u32;
    6 I32 i32 i32;
    7 F32 f32 f32;
    8 U64 u64 u64 | usize;
    9 I64 i64 i64 | isize;
    10 F64 f64 f64;
    11 U128 u128 u128;
    12 I128 i128 i128;
}

fn bytes_of<N: Plain>(numbers: &[N]) -> &[u8] {
    // SAFETY: plain numbers have no padding, so all their bytes are initialised; the length is
    // that of a slice that exists; bytes have no alignment.
    unsafe { slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// A vector of numbers as one of another kind of number of the same layout.
fn cast_vec<A: Plain, B: Plain>(numbers: Vec<A>) -> Vec<B> {
    const {
        assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>());
    }
    let mut numbers = ManuallyDrop::new(numbers);
    let (start, len, room) = (numbers.as_mut_ptr(), numbers.len(), numbers.capacity());
    // SAFETY: the parts are a vector's, given up above; size and alignment of the elements, and
    // with them the layout of the allocation, are the same; every bit pattern is a `B`.
    unsafe { Vec::from_raw_parts(start.cast(), len, room) }
}

/// `value` as the `B` that it is.
fn same_type<A: 'static, B>(value: A) -> B {
    assert!(typeid::of::<B>() == TypeId::of::<A>());
    let value = ManuallyDrop::new(value);
    // SAFETY: `A` and `B` are one type, and `A` has no lifetime that could differ; the original
    // is not used again.
    unsafe { ptr::read(ptr::from_ref(&*value).cast()) }
}

/// Memory for `bytes` bytes from the start of the vector.
fn room<N: Plain>(numbers: &mut Vec<N>, bytes: usize) -> Result<&mut [MaybeUninit<u8>], ()> {
    let wanted = bytes.div_ceil(size_of::<N>());
    if numbers.capacity() < wanted {
        numbers
            .try_reserve_exact(wanted - numbers.len())
            .map_err(drop)?;
    }
    let room = numbers.capacity() * size_of::<N>();
    // SAFETY: the vector owns `room` bytes from its start, aligned for more than bytes. They need
    // not be initialised to be `MaybeUninit`, and any bytes written over elements make elements.
    Ok(unsafe { slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), room) })
}

/// Makes the whole numbers among the first `bytes` bytes the vector's elements. Those bytes have
/// been written: only [`Filling`] calls this, with its count of them.
fn set_filled<N: Plain>(numbers: &mut Vec<N>, bytes: usize) {
    let len = bytes / size_of::<N>();
    assert!(len <= numbers.capacity());
    // SAFETY: the caller has written that many elements, see above; any bytes make a plain number.
    unsafe { numbers.set_len(len) }
}

/// Asks the system to use large pages where whole ones lie in `room`. A wish; nothing depends on it.
fn advise_large_pages(room: &mut [MaybeUninit<u8>]) {
    const PAGE: usize = 2 << 20;
    let skipped = room.as_ptr().align_offset(PAGE);
    let length = room.len().saturating_sub(skipped) / PAGE * PAGE;
    if let Some(room) = room.get_mut(skipped..skipped + length)
        && length > 0
    {
        // SAFETY: the pages are all of the slice's; the advice changes neither what they hold nor
        // what may be done with them.
        let _ = unsafe {
            rustix::mm::madvise(
                room.as_mut_ptr().cast(),
                length,
                rustix::mm::Advice::LinuxHugepage,
            )
        };
    }
}

/// Writes as much of `bytes` to the front of `to` as fits there, and answers that front.
pub(crate) fn copy<'a>(bytes: &[u8], to: &'a mut [MaybeUninit<u8>]) -> &'a [u8] {
    let count = bytes.len().min(to.len());
    let front = &mut to[..count];
    for (place, byte) in front.iter_mut().zip(bytes) {
        place.write(*byte);
    }
    let front: *const [MaybeUninit<u8>] = front;
    // SAFETY: the layouts are the same, the borrow goes on, and all of it has just been written.
    unsafe { &*(front as *const [u8]) }
}

/// A run that is being received.
pub(super) struct Filling {
    raw: Raw,
    filled: usize,
    /// Bytes that there is memory for.
    room: usize,
    wanted: usize,
}

impl Filling {
    /// Of `bytes` bytes, which is a multiple of the number's width.
    pub(super) fn new(number: Number, bytes: usize) -> Self {
        assert!(bytes.is_multiple_of(number.width()));
        Self {
            raw: Raw::empty(number),
            filled: 0,
            room: 0,
            wanted: bytes,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.wanted
    }

    /// Takes bytes that have been read already, and answers how many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = copy(bytes, self.next_room()?).len();
        self.filled += taken;
        Ok(taken)
    }

    /// Reads once, and answers how many bytes came; 0 at the end of the stream.
    pub(super) fn read(&mut self, from: &mut impl Source) -> io::Result<usize> {
        let read = read_front(from, self.next_room()?)?;
        self.filled += read;
        Ok(read)
    }

    /// Memory for bytes to come: one step at first, then as much again as has come.
    fn next_room(&mut self) -> io::Result<&mut [MaybeUninit<u8>]> {
        let filled = self.filled;
        if filled == self.room {
            // Memory is full at whole numbers only, so all that has come survives the growth.
            self.raw.set_filled(filled);
            self.room = self.wanted.min(filled + filled.max(STEP));
        }
        let room = self.raw.room(self.room);
        let room = room.map_err(|()| io::Error::from(io::ErrorKind::OutOfMemory))?;
        if filled == 0 && room.len() >= LARGE_PAGES && cfg!(not(miri)) {
            advise_large_pages(room);
        }
        Ok(&mut room[filled..self.room])
    }

    pub(super) fn finish(mut self) -> Raw {
        self.raw.set_filled(self.filled);
        self.raw
    }
}

/// A run that stands inside its value rather than ahead of it.
pub(super) fn from_inline(number: Number, bytes: &[u8]) -> Result<Raw, CodecError> {
    let memory = |error: io::Error| CodecError::value(error.to_string());
    let mut filling = Filling::new(number, bytes.len());
    let mut rest = bytes;
    while !filling.is_full() {
        let taken = filling.take(rest).map_err(memory)?;
        rest = &rest[taken..];
    }
    Ok(filling.finish())
}
