"""Who a request comes from: the holder of the server's token, or a user of a Keycloak realm."""

# mypy: disallow-untyped-decorators=False

import hmac
from typing import Annotated, Any

import jwt
import requests
from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from monailabel.config import settings
from monailabel.endpoints import login
from monailabel.endpoints.user.auth import DEFAULT_USER, User, get_public_key, oauth2_scheme

WRONG = {"status_code": 401, "headers": {"WWW-Authenticate": "Bearer"}}


def realm_user(token: Annotated[str, Depends(oauth2_scheme)]) -> User:
    """Return the user whom the realm has signed `token` for.

    MONAI Label 0.8.5 asks PyJWT to decode without naming an algorithm, which PyJWT 2 refuses for every token.

    Raises:
        HTTPException: if the token is not the realm's, or has ended.
    """
    try:
        key = get_public_key(settings.MONAI_LABEL_AUTH_REALM_URI)
        options: Any = {"verify_aud": False, "require": ["exp"]}
        claims = jwt.decode(token, key, algorithms=["RS256"], options=options)
    except jwt.InvalidTokenError as error:
        raise HTTPException(detail=f"no valid token of the realm: {error}", **WRONG) from error
    except (requests.RequestException, KeyError) as error:
        raise HTTPException(503, f"{settings.MONAI_LABEL_AUTH_REALM_URI}: the realm does not answer") from error
    roles: Any = claims
    for name in settings.MONAI_LABEL_AUTH_TOKEN_ROLES.split("#"):
        roles = roles.get(name) if isinstance(roles, dict) else None
    return User(
        username=str(claims.get(settings.MONAI_LABEL_AUTH_TOKEN_USERNAME, "")),
        email=claims.get(settings.MONAI_LABEL_AUTH_TOKEN_EMAIL),
        name=claims.get(settings.MONAI_LABEL_AUTH_TOKEN_NAME),
        roles=[str(role) for role in roles or []],
    )


def login_routes(token: str | None) -> APIRouter:
    """Return the addresses under `/auth/` by which MONAI Label's clients log in.

    Args:
        token: the server's token, which its holder enters as password, under any user name; None for a realm.
    """
    return login.router if token is None else _token_routes(token)


def _token_routes(token: str) -> APIRouter:
    routes = APIRouter(prefix="/auth")

    @routes.get("/")
    async def enabled() -> dict[str, Any]:
        return {"enabled": True, "client_id": "", "realm": ""}

    @routes.post("/token")
    async def access_token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
        if not hmac.compare_digest(form.password.encode(), token.encode()):
            raise HTTPException(detail="expected the token of the server as password", **WRONG)
        return {"access_token": token, "token_type": "bearer"}

    @routes.get("/token/valid")
    async def valid() -> dict[str, Any]:
        return DEFAULT_USER.model_dump()

    return routes
