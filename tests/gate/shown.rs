//! What `Debug` shows, word by word.

use std::convert::Infallible;
use std::task::{Context, Waker};

use http::{Request, Response};
use portcullis::scope::Demand;
use portcullis::layer::Reason;
use portcullis::{ApiKeyLayer, Malformed, Principal, require_any, require_scope};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use crate::ground::Ground;
use crate::ground::of_any_body::{with_key, without_key};

#[tokio::test]
async fn everything() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    println!("{layer:?}");
    println!("{:?}", layer.clone().add_header("x-api-key".parse().unwrap()).optional().environments(["live"]).unwrap());
    println!("{:?}", layer.layer(1));
    println!("{:?} {:?}", require_scope("a"), require_any(["b", "a"]).layer(1));
    let service = service_fn(async |r: Request<()>| Ok::<_, Infallible>(Response::new(format!("{:?}", Principal::of(r.extensions())))));
    let mut s = layer.layer(service);
    let mut cx = Context::from_waker(Waker::noop());
    let _ = std::task::Poll::is_ready(&tower::Service::<Request<()>>::poll_ready(&mut s, &mut cx));
    println!("{:?}", s.call(without_key()));
    println!("{:?}", s.call(with_key(&key)));
    let r = s.clone().oneshot(with_key(&key)).await.unwrap();
    println!("{r:?}");
    println!("{:?}", s.call(with_key(&key)));
    println!("{:?}", s.oneshot(without_key()).await.unwrap());
    println!("{:?} {:?}", Reason::Malformed(Malformed::Empty), Reason::InsufficientScope(Demand::all(["a"]).into()));
}
