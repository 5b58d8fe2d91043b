// A real OpenID provider (npm oidc-provider) over TLS on one address, for tests. Reads one JSON file:
// {host, port, certificate, key, clientId, clientSecret?}. Users are whoever types a name; `alice` and `bob` have claims;
// those of alice are written as some providers write them: a time and a truth as texts.
//
// Told so by `POST /test/attack/<name>`, it answers the token endpoint as a provider must not, or one that somebody
// plays: the ID token is made anew with the provider's own key, or with none.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import * as jose from 'jose';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const issuer = `https://${settings.host}:${settings.port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' };
const people = {
  alice: {
    email: 'Alice@corp.example',
    email_verified: 'true',
    groups: ['research', 'staff'],
    updated_at: '2024-05-01T09:30:00.000Z',
  },
  bob: { email: 'bob@corp.example', email_verified: false, groups: [] },
};

const client = {
  client_id: settings.clientId,
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/signed-in'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
  ...(settings.clientSecret
    ? { client_secret: settings.clientSecret, token_endpoint_auth_method: 'client_secret_basic' }
    : { token_endpoint_auth_method: 'none' }),
};

const provider = new Provider(issuer, {
  clients: [client],
  jwks: { keys: [jwk] },
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups', 'preferred_username', 'updated_at'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, ...(people[id] ?? {}) }),
  }),
});

let attack = 'none';
let redeemed = 0;
let followed = 0;

async function forge(token) {
  const claims = jose.decodeJwt(token);
  const sign = (changed, header = {}) =>
    new jose.SignJWT({ ...claims, ...changed }).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(privateKey);
  const base64 = value => Buffer.from(JSON.stringify(value)).toString('base64url');
  switch (attack) {
    case 'nonce': return sign({ nonce: 'another' });
    case 'audience': return sign({ aud: 'another' });
    case 'party': return sign({ aud: [settings.clientId], azp: 'another' });
    case 'issuer': return sign({ iss: 'https://another.example' });
    case 'expired': return sign({ iat: claims.iat - 7200, exp: claims.iat - 3600 });
    case 'future': return sign({ iat: claims.iat + 7200, exp: claims.iat + 9000 });
    case 'key': {
      const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
      return new jose.SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(other);
    }
    case 'several-audiences': return sign({ aud: ['another', settings.clientId], azp: settings.clientId });
    case 'no-party': return sign({ aud: ['another', settings.clientId] });
    case 'no-auth-time': return sign({ auth_time: undefined });
    // As Entra ID says that there are more groups than fit.
    case 'overage': {
      const endpoint = 'https://graph.example/me/getMemberObjects';
      return sign({ groups: undefined, _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } });
    }
    case 'has-groups': return sign({ groups: undefined, hasgroups: true });
    case 'many-groups': return sign({ groups: [...Array.from({ length: 1000 }, (_, n) => `g${n}`), 'contractors'] });
    case 'unsigned': return `${base64({ alg: 'none' })}.${base64(claims)}.`;
    case 'hmac-public': {
      // The published key as an HMAC secret.
      const secret = privateKey.export({ format: 'jwk' }).n;
      const body = `${base64({ alg: 'HS256', kid: 'k1' })}.${base64(claims)}`;
      return `${body}.${createHmac('sha256', Buffer.from(secret, 'base64url')).update(body).digest('base64url')}`;
    }
    case 'hmac-secret': {
      const body = `${base64({ alg: 'HS256' })}.${base64(claims)}`;
      return `${body}.${createHmac('sha256', settings.clientSecret ?? '').update(body).digest('base64url')}`;
    }
    default: return token;
  }
}

provider.use(async (ctx, next) => {
  const told = /^\/test\/attack\/([a-z-]+)$/.exec(ctx.path);
  if (told && ctx.method === 'POST') {
    attack = told[1];
    ctx.body = attack;
    return;
  }
  if (ctx.path === '/test/redeemed') {
    ctx.body = String(redeemed);
    return;
  }
  if (ctx.path === '/test/followed') {
    followed += 1;
    ctx.body = '{}';
    return;
  }
  if (ctx.path === '/test/follows') {
    ctx.body = String(followed);
    return;
  }
  await next();
  if (ctx.oidc?.route === 'token' && ctx.body?.id_token) {
    redeemed += 1;
    ctx.body.id_token = await forge(ctx.body.id_token);
  }
  // Somewhere else instead of an answer, at one of the places that a Controller asks.
  if (attack === `redirect-${ctx.oidc?.route}`) {
    ctx.status = 302;
    ctx.body = '';
    ctx.set('location', `${issuer}/test/followed`);
  }
});

const tls = { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) };
createServer(tls, provider.callback()).listen(settings.port, settings.host, () => console.log(`listening at ${issuer}`));
