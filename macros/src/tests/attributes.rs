//! `#[job]` and `#[main]`

use quote::quote;

use super::{assert_has, assert_lacks, entered, main};

#[test]
fn function_stays_and_is_entered() {
    let code = entered(
        quote!(),
        quote! {
            /// Documented.
            #[must_use]
            pub(crate) fn resize(mut path: PathBuf, (w, h): (u32, u32), _: A<B, C>) -> Image<D> {
                body(path)
            }
        },
    );
    assert_has(
        &code,
        &[
            "/// Documented. #[must_use] pub(crate) fn resize(mut path: PathBuf, (w, h): (u32, u32), \
             _: A<B, C>)",
            "pub(crate) struct resize { captures: (PathBuf, (u32, u32), A<B, C>), }",
            "pub(crate) fn runspace_job(path: PathBuf, argument1: (u32, u32), argument2: A<B, C>",
            "impl ::runspace::__private::NamedJob for resize",
            "type Output = Image<D>;",
            "::core::concat!(::core::module_path!(), \"::\", \"resize\" )",
            "let (argument0, argument1, argument2) = self.captures;",
            "::runspace::__private::parameter()(argument0)",
            "|(argument0, (argument1, (argument2, ())))| resize(",
            "::runspace::__private::inventory::submit!",
            "::runspace::__private::NamedEntry::of:: < resize > ()",
        ],
    );
    assert_eq!(code.matches("body(path)").count(), 1, "{code}");
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn function_of_nothing() {
    let code = entered(
        quote!(),
        quote!(
            fn r#loop() {}
        ),
    );
    assert_has(
        &code,
        &[
            "struct r#loop { captures: (), }",
            "type Output = ();",
            "\"::\", \"loop\" )",
            "|()| r#loop()",
        ],
    );
}

#[test]
fn options() {
    let code = entered(
        quote!(name = "images.resize", crate = crate::parallel),
        quote!(
            fn resize() {}
        ),
    );
    assert_has(
        &code,
        &[
            "str = \"images.resize\";",
            "crate::parallel::__private::NamedJob",
        ],
    );
    assert_lacks(&code, &["::runspace", "module_path"]);
    let code = entered(
        quote!(crate = "::parallel",),
        quote!(
            fn resize() {}
        ),
    );
    assert_has(&code, &["impl ::parallel::__private::NamedJob"]);
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn function_that_cannot_be_a_job_stays() {
    for (item, part) in [
        (
            quote!(
                fn f<T>(x: T) {
                    BODY
                }
            ),
            "cannot be generic",
        ),
        (
            quote!(
                fn f<const N: usize>() {
                    BODY
                }
            ),
            "cannot be generic",
        ),
        (
            quote!(
                async fn f() {
                    BODY
                }
            ),
            "drop `async`",
        ),
        (
            quote!(
                unsafe fn f() {
                    BODY
                }
            ),
            "without `unsafe`",
        ),
        (
            quote!(
                fn f(&self) {
                    BODY
                }
            ),
            "not a method",
        ),
        (
            quote!(
                fn f(self: Box<Self>) {
                    BODY
                }
            ),
            "not a method",
        ),
        (
            quote!(
                fn f(x: &str) {
                    BODY
                }
            ),
            "write `String`",
        ),
        (
            quote!(
                fn f<'a>(x: &'a [u8]) {
                    BODY
                }
            ),
            "write `Vec<u8>`",
        ),
        (
            quote!(
                fn f(x: &std::path::Path) {
                    BODY
                }
            ),
            "write `PathBuf`",
        ),
        (
            quote!(
                fn f(x: &mut Map<K, V>) {
                    BODY
                }
            ),
            "write `Map<K, V>`",
        ),
        (
            quote!(
                fn f(x: Vec<&str>) {
                    BODY
                }
            ),
            "an owned type",
        ),
        (
            quote!(
                fn f<'a>(x: Cow<'a, str>) {
                    BODY
                }
            ),
            "an owned type",
        ),
        (
            quote!(
                fn f() -> &'static str {
                    BODY
                }
            ),
            "write `String`",
        ),
        (
            quote!(
                fn f(x: impl Fn()) {
                    BODY
                }
            ),
            "write its name",
        ),
        (
            quote!(
                fn f() -> impl Fn() {
                    BODY
                }
            ),
            "write its name",
        ),
        (
            quote!(
                struct BODY;
            ),
            "stands on a function",
        ),
        (
            quote!(
                trait T {
                    fn f(BODY: u8);
                }
            ),
            "stands on a function",
        ),
    ] {
        let code = entered(quote!(), item);
        assert_has(&code, &["compile_error!", part, "BODY"]);
        assert_lacks(&code, &["NamedJob"]);
    }
    // A type of `'static` parts can be read anywhere.
    let code = entered(
        quote!(),
        quote!(
            fn f(x: Cow<'static, str>) {}
        ),
    );
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn mistake_in_an_option_leaves_the_job() {
    for (options, part) in [
        (quote!(nam = "n"), "write `name`"),
        (
            quote!(timeout = 5),
            "the options here are `name` and `crate`",
        ),
        (quote!("n"), "expected `name = "),
        (quote!(name), "expected `name = "),
        (quote!(name = N), "is a literal"),
        (quote!(name = "a", name = "b"), "given twice"),
        (quote!(crate = 5), "is the path of this crate"),
    ] {
        let code = entered(
            options,
            quote!(
                fn f() {}
            ),
        );
        assert_has(&code, &["compile_error!", part, "NamedJob for f"]);
    }
}

#[test]
fn main_serves_first() {
    let code = main(
        quote!(),
        quote! {
            #[allow(clippy::all)]
            pub fn main() -> Result<(), Error> {
                #![allow(unused)]
                body()
            }
        },
    );
    assert_has(
        &code,
        &[
            "#[allow(clippy::all)] pub fn main() -> Result<(), Error>",
            "#![allow(unused)] ::runspace::__private::serve_if_worker(); body() }",
            "::runspace::__main_will_serve! {}",
        ],
    );
    let code = main(
        quote!(crate = parallel),
        quote!(
            fn main() {}
        ),
    );
    assert_has(&code, &["parallel::__private::serve", "parallel::__main"]);
}

#[test]
fn runtime_of_an_async_main_starts_behind_it() {
    let code = main(
        quote!(),
        quote! {
            #[tokio::main]
            async fn main() -> Result<(), Error> { body().await }
        },
    );
    assert_has(
        &code,
        &[
            "fn main() -> Result<(), Error> { #[tokio::main] async fn main() -> Result<(), Error> { \
             body().await } ::runspace::__private::serve_if_worker(); main() }",
            "::runspace::__main_will_serve! {}",
        ],
    );
}

#[test]
fn function_that_is_not_main() {
    for (item, part) in [
        (
            quote!(
                fn start() {
                    BODY
                }
            ),
            "above `fn main`",
        ),
        (
            quote!(
                fn main(args: BODY) {}
            ),
            "`std::env::args()`",
        ),
        (
            quote!(
                async fn main() {
                    BODY
                }
            ),
            "the attribute of a runtime",
        ),
        (
            quote!(
                #[doc = "d"]
                async fn main() {
                    BODY
                }
            ),
            "the attribute of a runtime",
        ),
        (
            quote!(
                struct BODY;
            ),
            "stands on a function",
        ),
    ] {
        let code = main(quote!(), item);
        assert_has(&code, &["compile_error!", part, "BODY"]);
        assert_lacks(&code, &["serve"]);
    }
    let code = main(
        quote!(threads = 4),
        quote!(
            fn main() {
                BODY
            }
        ),
    );
    assert_has(&code, &["the option here is `crate`", "serve_if_worker"]);
}
