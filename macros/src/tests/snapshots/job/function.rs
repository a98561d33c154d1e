// #[runspace::job]
// /// Makes an image smaller.
// pub fn resize(path: PathBuf, width: u32) -> Result<Image, String> {
//     open(&path)?.resized(width)
// }

#[allow(clippy::needless_pass_by_value)]
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
        type Output = Result<Image, String>;
        const NAME: &'static ::core::primitive::str = ::core::concat!(
            ::core::module_path!(), "::", "resize"
        );
        fn start(
            self,
            options: ::runspace::__private::ProcessJobOptions,
        ) -> ::runspace::Job<Self::Output> {
            let (argument0, argument1) = self.captures;
            ::runspace::__private::function_job(
                options,
                Self::NAME,
                (
                    ::runspace::__private::parameter()(argument0),
                    (::runspace::__private::parameter()(argument1), ()),
                ),
                |(argument0, (argument1, ()))| resize(argument0, argument1),
            )
        }
    }
    ::runspace::__private::inventory::submit! {
        ::runspace::__private::NamedEntry::of:: < resize > ()
    }
};
