// #[job(name = "images.tidy", crate = crate::parallel)]
// fn tidy() {}

fn tidy() {}
#[doc(hidden)]
#[allow(non_camel_case_types, dead_code, clippy::all, clippy::pedantic)]
struct tidy {
    captures: (),
}
#[allow(dead_code, deprecated, clippy::all, clippy::pedantic)]
const _: () = {
    impl tidy {
        #[doc(hidden)]
        fn runspace_job() -> Self {
            Self { captures: () }
        }
    }
    impl crate::parallel::__private::NamedJob for tidy {
        type Captures = ();
        type Output = ();
        const NAME: &'static ::core::primitive::str = "images.tidy";
        fn into_captures(self) -> Self::Captures {
            self.captures
        }
        fn call((): Self::Captures) -> Self::Output {
            tidy()
        }
    }
    fn check() {
        crate::parallel::__private::named_output::<()>();
    }
    crate::parallel::__private::inventory::submit! {
        crate ::parallel::__private::NamedEntry::of:: < tidy > ()
    }
};
