// #[runspace::job]
// /// Makes an image smaller.
// pub fn resize(path: PathBuf, width: u32) -> Result<Image, String> {
//     open(&path)?.resized(width)
// }

/// Makes an image smaller.
pub fn resize(path: PathBuf, width: u32) -> Result<Image, String> {
    open(&path)?.resized(width)
}
#[doc(hidden)]
#[allow(non_camel_case_types, dead_code, clippy::all, clippy::pedantic)]
pub struct resize {
    captures: (PathBuf, u32),
}
#[allow(dead_code, deprecated, clippy::all, clippy::pedantic)]
const _: () = {
    impl resize {
        #[doc(hidden)]
        pub fn runspace_job(path: PathBuf, width: u32) -> Self {
            Self { captures: (path, width) }
        }
    }
    impl ::runspace::__private::NamedJob for resize {
        type Captures = (PathBuf, u32);
        type Output = Result<Image, String>;
        const NAME: &'static ::core::primitive::str = ::core::concat!(
            ::core::module_path!(), "::", "resize"
        );
        fn into_captures(self) -> Self::Captures {
            self.captures
        }
        fn call((argument0, argument1): Self::Captures) -> Self::Output {
            resize(argument0, argument1)
        }
    }
    fn check() {
        ::runspace::__private::named_parameter::<PathBuf>();
        ::runspace::__private::named_parameter::<u32>();
        ::runspace::__private::named_output::<Result<Image, String>>();
    }
    ::runspace::__private::inventory::submit! {
        ::runspace::__private::NamedEntry::of:: < resize > ()
    }
};
